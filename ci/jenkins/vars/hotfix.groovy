/**
 * A step for Jenkins: an image of a product pack with the vendor's hotfixes.
 *
 *     hotfix pack: 'packs/wso2am-4.1.0.10.zip', hotfixes: 'hotfixes', credentialsId: 'wso2',
 *            repository: 'registry.example.org/team/wso2am', push: true
 *
 * pack, hotfixes   what is applied to what
 * credentialsId    of a user name with a password: those of a WSO2 account
 * report           folder for the reports, 'hotfix-report' by default; published and kept, also of runs that fail
 * command          where hotfix is, where it is not on the PATH
 * everything else  options of 'hotfix apply' by their long names, in camel case: baseImage, ifChanged, tag (a list) …
 *
 * What is null or empty, also in a list, counts as not given.
 * Returns the names of the image, a list. With reportOnlyChanges nothing is made and the list is empty: the lines that tell what
 * differs are in changes.txt in the folder for the reports, which is empty where nothing does. Needs the plugins Pipeline, Credentials Binding and JUnit.
 */
List<String> call(Map given = [:]) {
    Map options = [report: 'hotfix-report', command: 'hotfix'] + withoutEmpty(given)
    for (needed in ['pack', 'hotfixes']) {
        if (!options[needed]) {
            error "hotfix: give ${needed}"
        }
    }
    boolean makesNone = isTrue(options.reportOnlyChanges)
    String images = "${options.report}/images.txt"
    String changes = "${options.report}/changes.txt"
    List<String> settings = settingsOf(options)
    // What an earlier build has left would be kept as if it were this one's, so it goes first.
    // 'exec' puts hotfix in the place of the shell, so that it is what an abort reaches first.
    String script = "mkdir -p ${quoted(options.report)} && rm -f ${quoted(images)} ${quoted(changes)} && " +
        "exec ${quoted(options.command)} apply ${quoted(options.pack)} ${quoted(options.hotfixes)} " +
        ">${quoted(makesNone ? changes : images)}"
    try {
        withAccount(options.credentialsId) {
            withEnv(settings) {
                sh label: 'hotfix apply', script: script
            }
        }
    } finally {
        junit allowEmptyResults: true, testResults: "${options.report}/junit.xml"
        archiveArtifacts allowEmptyArchive: true, artifacts: "${options.report}/**"
    }
    return makesNone ? [] : readFile(images).readLines()
}

/** As hotfix reads a variable. */
private boolean isTrue(Object value) {
    return value != null && value.toString().toLowerCase() in ['true', 'yes', '1']
}

/** Options as variables, which need no quotes and are no arguments that others could read. */
private List<String> settingsOf(Map options) {
    List<String> settings = []
    for (entry in options) {
        if (entry.key in ['pack', 'hotfixes', 'credentialsId', 'command']) {
            continue
        }
        String name = entry.key.replaceAll('([A-Z])', '_$1').toUpperCase()
        settings << "HOTFIX_${name}=${textsOf(entry.value).join('\n')}".toString()
    }
    return settings
}

/** A parameter that was left empty is an empty text, and a variable that is not set is null. */
private Map withoutEmpty(Map given) {
    Map options = [:]
    for (entry in given) {
        if (textsOf(entry.value)) {
            options[entry.key] = entry.value
        }
    }
    return options
}

/** The texts of an option, without those that are null or empty. */
private List<String> textsOf(Object value) {
    List<String> texts = []
    for (one in (value instanceof Collection || value instanceof Object[] ? value : [value])) {
        if (one != null && one.toString()) {
            texts << one.toString()
        }
    }
    return texts
}

private void withAccount(String id, Closure body) {
    if (!id) {
        body()
        return
    }
    withCredentials([usernamePassword(
        credentialsId: id, usernameVariable: 'UPDATE_TOOL_USERNAME', passwordVariable: 'UPDATE_TOOL_PASSWORD')]) {
        body()
    }
}

private String quoted(Object text) {
    return "'" + text.toString().replace("'", "'\\''") + "'"
}
