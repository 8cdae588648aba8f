// Jenkins, as far as vars/hotfix.groovy sees it: runs its shell steps here, and tells on standard output which steps were asked
// for. Arguments: the step's file, the options as Groovy, and nothing else.
import org.codehaus.groovy.control.CompilerConfiguration

abstract class Jenkins extends Script {
    List<String> settings = []

    void error(String message) { throw new IllegalStateException(message) }

    Object usernamePassword(Map what) { what }

    void withCredentials(List credentials, Closure body) {
        def one = credentials[0]
        println "credentials ${one.credentialsId}"
        scoped(["${one.usernameVariable}=jo@example.org".toString(), "${one.passwordVariable}=a-pass-word".toString()], body)
    }

    void withEnv(List<String> more, Closure body) { scoped(more, body) }

    private void scoped(List<String> more, Closure body) {
        def before = settings
        settings = settings + more
        try { body() } finally { settings = before }
    }

    void sh(Map what) {
        println "sh ${what.script}"
        def builder = new ProcessBuilder('sh', '-c', what.script).redirectError(ProcessBuilder.Redirect.INHERIT)
        settings.each { def (name, value) = it.split('=', 2); builder.environment()[name] = value }
        def code = builder.start().waitFor()
        if (code != 0) { throw new IllegalStateException("script returned exit code ${code}") }
    }

    void junit(Map what) { println "junit ${what.testResults}" }

    void archiveArtifacts(Map what) { println "archive ${what.artifacts}" }

    String readFile(String name) { new File(name).text }
}

def configuration = new CompilerConfiguration(scriptBaseClass: Jenkins.name)
def shell = new GroovyShell(Jenkins.classLoader, new Binding(), configuration)
def step = shell.parse(new File(args[0]))
def options = new GroovyShell().evaluate(args[1])
try {
    step.call(options).each { println "image ${it}" }
} catch (IllegalStateException problem) {
    println "error ${problem.message}"
    System.exit(1)
}
