//! The example of a recipe, as the document says to use it, and under compose.

use std::fs;
use std::process::Command;

use crate::support::engine::{self, docker};
use crate::support::recipe::{BUILDERS, Recipe, examples};

/// The command in the document, with the base and the name that can be had here.
fn command_of_the_document(base: &str, tag: &str) -> Vec<String> {
    let document = fs::read_to_string(examples().join("../../docs/dockerfile.md")).expect("there");
    let command = document.lines().find_map(|line| line.strip_prefix("    hotfix ")).expect("a command");
    let command = command
        .replace("registry.example.org/base/java:11", base)
        .replace("registry.example.org/team/wso2am:4.1.0.10-hf3", tag);
    command.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_example_is_built_by_the_command_of_the_document_and_runs_under_compose() {
    if !engine::is_there() {
        return;
    }
    for builder in BUILDERS {
        let recipe = Recipe::new(&format!("recipe-example-{builder}"), "").env("DOCKER_BUILDKIT", builder);
        for name in ["Dockerfile", "docker-entrypoint.sh", ".dockerignore", "compose.yml"] {
            fs::copy(examples().join(name), recipe.scenario.path("recipe").join(name)).expect("copied");
        }
        recipe.scenario.run(&command_of_the_document(&recipe.base.name, &recipe.tag)).succeeds();
        let config = &recipe.inspect()["Config"];
        assert_eq!((&config["User"], &config["WorkingDir"]), (&"10001:10001".into(), &"/home/wso2carbon".into()));
        let home = "/home/wso2carbon/wso2am-4.1.0";
        assert_eq!(
            recipe.run(&["stat", "-c", "%U %u:%g %a", &format!("{home}/bin/api-manager.sh")]),
            "wso2carbon 10001:10001 755"
        );
        assert_eq!(
            docker(&["run", "--rm", "--network", "none", &recipe.tag, "--version"]),
            format!("java -jar {home}/bin/bootstrap.jar --version")
        );
        let recipe = recipe.file("conf/bin/api-manager.sh", "cat \"$WSO2_SERVER_HOME/bin/README.txt\"");
        compose(&recipe);
    }
}

/// Runs the example's compose file with the image, once.
fn compose(recipe: &Recipe) {
    let port =
        || std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port().to_string();
    let compose = |arguments: &[&str]| {
        Command::new("docker-compose")
            .args(["--file", "compose.yml", "--project-name", &recipe.base.name.replace(['/', ':'], "-")])
            .args(arguments)
            .current_dir(recipe.scenario.path("recipe"))
            .envs([("IMAGE", recipe.tag.clone()), ("CONSOLE_PORT", port()), ("GATEWAY_PORT", port())])
            .output()
    };
    let Ok(config) = compose(&["config"]) else {
        engine::skip("no docker-compose is here (Debian: docker-compose)");
        return;
    };
    let config = String::from_utf8_lossy(&config.stdout).into_owned();
    assert!(config.contains(&recipe.tag) && config.contains("9443"), "{config}");
    let up =
        compose(&["up", "--no-color", "--abort-on-container-exit", "--exit-code-from", "wso2"]).expect("it starts");
    let down = compose(&["down", "--volumes"]).expect("it starts");
    let said = String::from_utf8_lossy(&[up.stdout, up.stderr].concat()).into_owned();
    assert!(up.status.success() && said.contains("How to start the server, corrected."), "{said}");
    assert!(down.status.success(), "{}", String::from_utf8_lossy(&down.stderr));
}
