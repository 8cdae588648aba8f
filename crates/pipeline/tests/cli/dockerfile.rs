//! `--dockerfile`: the user's own recipe, built by a real engine with both of its builders.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::Scenario;
use crate::support::engine::{self, Base, docker, try_docker};
use crate::support::recipe::{BUILDERS, Recipe};
use crate::support::registry::Registry;
use crate::support::scenario::{PASSWORD, USERNAME};
use crate::support::vendor::VendorImage;

pub const SIMPLE: &str = "FROM BASE\nARG WSO2_SERVER_NAME\nARG WSO2_SERVER_VERSION\nCOPY ${WSO2_SERVER_NAME}-${WSO2_SERVER_VERSION} /product\n";

#[test]
fn the_hotfixed_product_is_in_the_image() {
    if !engine::is_there() {
        return;
    }
    for builder in BUILDERS {
        let recipe = Recipe::new(&format!("recipe-{builder}"), SIMPLE).env("DOCKER_BUILDKIT", builder);
        recipe.apply().succeeds().prints(&format!("{}\n", recipe.tag)).says("/product");
        assert_eq!(recipe.run(&["cat", "/product/bin/README.txt"]), "How to start the server, corrected.");
        let plugins = recipe.run(&["ls", "/product/repository/components/plugins"]);
        let patched: Vec<&str> = plugins.lines().filter(|name| name.contains("example.a")).collect();
        assert_eq!(patched, ["org.example.a_1.0.0.2.jar"]);
        assert_eq!(recipe.run(&["ls", "/product/repository/deployment/server/jaggeryapps/legacy"]), "");
        assert_eq!(recipe.run(&["stat", "-c", "%u:%g %a", "/product/bin/api-manager.sh"]), "0:0 755");
        assert_eq!(recipe.run(&["find", "/product/updates", "-name", "logs"]), "");
        let config = recipe.run(&["cat", "/product/updates/config.json"]);
        assert!(config.contains(r#""username": """#) && config.contains(r#""update-level": "10""#), "{config}");
        let report = recipe.scenario.report();
        assert_eq!(
            (&report["image"]["base"], &report["image"]["hotfix_layer_bytes"]),
            (&recipe.base.name.as_str().into(), &0.into())
        );
    }
}

#[test]
fn labels_are_ours_the_users_and_the_bases() {
    if !engine::is_there() {
        return;
    }
    for builder in BUILDERS {
        let recipe = Recipe::new(&format!("recipe-labels-{builder}"), SIMPLE).env("DOCKER_BUILDKIT", builder).args([
            "--label",
            "team=api",
            "--build-arg",
            "WSO2_SERVER_NAME=wso2am",
            "--through",
            "1",
        ]);
        recipe.apply().succeeds();
        let labels = recipe.inspect()["Config"]["Labels"].clone();
        let base_id = docker(&["inspect", "--format", "{{.Id}}", &recipe.base.name]);
        for (label, value) in [
            ("org.opencontainers.image.version", "4.1.0.10-hf1"),
            ("org.opencontainers.image.base.name", &recipe.base.name),
            ("org.opencontainers.image.base.digest", &base_id),
            ("hotfix.product", "wso2am"),
            ("team", "api"),
            ("test", &recipe.base.name),
        ] {
            assert_eq!(labels[label], value, "{label}: {labels}");
        }
        let fingerprint = |recipe: &Recipe| recipe.inspect()["Config"]["Labels"]["hotfix.fingerprint"].clone();
        let first = fingerprint(&recipe);
        let recipe = recipe.file("more.txt", "1");
        recipe.apply().succeeds();
        let second = fingerprint(&recipe);
        recipe.apply().succeeds();
        assert_eq!(second, fingerprint(&recipe), "the same inputs");
        let recipe = recipe.args(["--build-arg", "MORE=1"]);
        recipe.apply().succeeds();
        assert!(first != second && second != fingerprint(&recipe), "other inputs");
    }
}

#[test]
fn without_hotfixes_the_product_is_that_of_the_pack() {
    if !engine::is_there() {
        return;
    }
    for builder in BUILDERS {
        let recipe = Recipe::new(&format!("recipe-through-0-{builder}"), SIMPLE)
            .env("DOCKER_BUILDKIT", builder)
            .args(["--through", "0", "--platform", "linux/amd64"]);
        recipe.apply().succeeds();
        assert_eq!(recipe.run(&["cat", "/product/bin/README.txt"]), "How to start the server.");
        assert_eq!(recipe.run(&["ls", "/product/repository/deployment/server/jaggeryapps/legacy"]), "legacy.jag");
    }
}

#[test]
fn ignored_files_stay_and_the_product_comes_whatever_is_ignored() {
    if !engine::is_there() {
        return;
    }
    for builder in BUILDERS {
        let recipe = Recipe::new(&format!("recipe-ignore-{builder}"), "FROM BASE\nCOPY . /all\n")
            .env("DOCKER_BUILDKIT", builder)
            .file(".dockerignore", "nothing")
            .file("Dockerfile.dockerignore", "**\n!kept\nkept/**/*.log\n")
            .file("secret.txt", "s")
            .file("kept/a", "1")
            .file("kept/x/b.log", "2");
        recipe.apply().succeeds();
        let found = recipe.run(&["find", "/all", "-type", "f", "-not", "-path", "*/wso2am-4.1.0/*"]);
        let mut found: Vec<&str> = found.lines().collect();
        found.sort_unstable();
        assert_eq!(found, ["/all/Dockerfile", "/all/kept/a"]);
        assert_eq!(recipe.run(&["cat", "/all/wso2am-4.1.0/bin/README.txt"]), "How to start the server, corrected.");
    }
}

#[test]
fn a_failing_instruction_is_named_and_nothing_is_left() {
    if !engine::is_there() {
        return;
    }
    let dockerfile = format!("{SIMPLE}RUN echo made && echo half >&2\nRUN echo \"about to $((40 + 2))\" && exit 3\n");
    for (builder, step) in [("1", "[4/4] RUN"), ("0", "Step 6/")] {
        let recipe = Recipe::new(&format!("recipe-fails-{builder}"), &dockerfile).env("DOCKER_BUILDKIT", builder);
        let run = recipe.apply().fails(8, "build-image").says("the build of recipe/Dockerfile failed at ");
        let error = &run.stderr[run.stderr.find("error: ").expect("an error")..];
        assert!(error.contains(step) && error.contains("exit 3") && error.contains("about to 42"), "{error}");
        recipe.is_not_there();
    }
}

#[test]
fn a_dockerfile_that_is_none_is_refused_by_the_engine() {
    if !engine::is_there() {
        return;
    }
    for builder in BUILDERS {
        let recipe =
            Recipe::new(&format!("recipe-syntax-{builder}"), "FROM BASE\nFRMO x\n").env("DOCKER_BUILDKIT", builder);
        let run = recipe.apply().fails(8, "build-image").says("the build of recipe/Dockerfile failed");
        assert!(run.stderr.to_lowercase().contains("unknown instruction: frmo"), "{}", run.stderr);
        recipe.is_not_there();
    }
}

#[test]
fn a_base_that_is_nowhere() {
    if !engine::is_there() {
        return;
    }
    for builder in BUILDERS {
        let recipe = Recipe::new(&format!("recipe-nowhere-{builder}"), "FROM 127.0.0.1:1/no/such:base\n")
            .env("DOCKER_BUILDKIT", builder);
        recipe
            .apply()
            .fails(8, "build-image")
            .says("127.0.0.1:1/no/such:base")
            .says("the build of recipe/Dockerfile failed");
        recipe.is_not_there();
    }
}

#[test]
fn a_private_image_of_another_stage_is_pulled_with_the_users_credentials() {
    if !engine::is_there() {
        return;
    }
    let (user, password) = ("jo", PASSWORD);
    let Some(registry) = Registry::start_with_password(user, password) else { return };
    let source = Base::new("recipe-private");
    let private = format!("{}/team/tools:1", registry.host);
    let config = registry.docker_config(user, password);
    for builder in BUILDERS {
        let dockerfile = format!("FROM {private} AS tools\n{SIMPLE}COPY --from=tools /bin/busybox /from-tools\n");
        let recipe = Recipe::new(&format!("recipe-private-{builder}"), &dockerfile).env("DOCKER_BUILDKIT", builder);
        let denied = recipe.apply().fails(8, "build-image");
        assert!(denied.stderr.contains(&private), "{}", denied.stderr);
        fs::write(recipe.scenario.path("home/config.json"), &config).expect("writable");
        let folder = recipe.scenario.path("home");
        let folder = folder.to_str().expect("UTF-8");
        docker(&["tag", &source.name, &private]);
        docker(&["--config", folder, "push", &private]);
        docker(&["rmi", &private]);
        let run = recipe.apply();
        try_docker(&["rmi", &private]);
        run.succeeds().does_not_say(password);
    }
}

#[test]
fn nothing_private_is_in_the_context_or_the_image() {
    if !engine::is_there() {
        return;
    }
    let recipe = Recipe::with(
        "recipe-private-data",
        "FROM BASE\nCOPY . /all\n",
        Scenario::new().with_tool(|tool| tool.loud = true),
    );
    let run = recipe.apply().succeeds();
    let archive = recipe.scenario.path("saved.tar");
    docker(&["save", "--output", archive.to_str().expect("UTF-8"), &recipe.tag]);
    let image =
        [fs::read(archive).expect("there"), docker(&["history", "--no-trunc", &recipe.tag]).into_bytes()].concat();
    let workspace = recipe.scenario.path("tmp");
    for secret in [PASSWORD, USERNAME, workspace.to_str().expect("UTF-8")] {
        assert!(!image.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is in the image");
    }
    assert!(!run.stderr.contains(PASSWORD));
}

#[test]
fn when_stopped_the_build_ends_and_nothing_is_left() {
    if !engine::is_there() {
        return;
    }
    for builder in BUILDERS {
        let name = format!("recipe-stopped-{builder}");
        let recipe =
            Recipe::new(&name, &format!("{SIMPLE}RUN sleep 600; echo {name}\n")).env("DOCKER_BUILDKIT", builder);
        let sleeps = || {
            let lines = Command::new("ps").args(["-eo", "args"]).output().expect("ps").stdout;
            String::from_utf8_lossy(&lines).lines().any(|line| line.contains(&format!("sleep 600; echo {name}")))
        };
        let before = recipe.scenario.snapshot();
        let child = recipe.scenario.start_apply_until(|_| sleeps());
        kill_process(Pid::from_raw(child.id().cast_signed()).expect("not 0"), Signal::TERM).expect("it is there");
        recipe.scenario.ended(child, &before).fails(143, "build-image").says("stopped by");
        let deadline = Instant::now() + Duration::from_secs(20);
        while sleeps() {
            assert!(Instant::now() < deadline, "the build goes on");
            std::thread::sleep(Duration::from_millis(50));
        }
        recipe.is_not_there();
    }
}

#[test]
fn an_engine_that_goes_away_is_no_success() {
    if !engine::is_there() {
        return;
    }
    for builder in BUILDERS {
        let proxy = crate::support::proxy::Proxy::start(300_000);
        let scenario = Scenario::new().with_pack(|pack| pack.filler(5_000_000));
        let recipe = Recipe::with(&format!("recipe-gone-{builder}"), SIMPLE, scenario)
            .env("DOCKER_BUILDKIT", builder)
            .env("DOCKER_HOST", &proxy.endpoint());
        recipe.apply().fails(8, "build-image");
        recipe.is_not_there();
    }
}

#[test]
fn what_comes_from_a_build_cannot_fool_a_terminal() {
    if !engine::is_there() {
        return;
    }
    let recipe = Recipe::new("recipe-escapes", &format!("{SIMPLE}RUN printf 'x\\033[31mred\\n'\n"));
    let run = recipe.apply().succeeds().says("x\\u{1b}[31mred");
    assert!(!run.stderr.contains("\u{1b}[31m"), "{}", run.stderr);
}

#[test]
fn what_is_private_and_in_the_context_is_warned_of_or_refused() {
    if !engine::is_there() {
        return;
    }
    let recipe = Recipe::new("recipe-warns", SIMPLE);
    let dockerfile = recipe.scenario.text("recipe/Dockerfile");
    let scenario = Scenario::like(&recipe.scenario).with_file("Dockerfile", dockerfile).args([
        "--output",
        "docker",
        "--dockerfile",
        "Dockerfile",
        "-t",
        &recipe.tag,
    ]);
    scenario.apply().fails(4, "validate-inputs").says("would be part of the build context");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let scenario = scenario.args(["--workspace", elsewhere.path().to_str().expect("UTF-8")]);
    scenario
        .apply()
        .succeeds()
        .says("packs/wso2am-4.1.0.10.zip is in the build context")
        .says("hotfixes is in the build context");
    let scenario = scenario.with_file("Dockerfile.dockerignore", "packs\nhotfixes\n");
    scenario.apply().succeeds().does_not_say("is in the build context");
}

#[test]
fn files_that_cannot_be_a_dockerfile() {
    let dockerfile = |path: &str| {
        let scenario = Scenario::new().with_file("Dockerfile", "FROM scratch\n");
        scenario.args(["--output", "docker", "--dockerfile", path])
    };
    dockerfile("none/Dockerfile").apply().fails(4, "validate-inputs").says("there is no Dockerfile none/Dockerfile");
    dockerfile("packs")
        .apply()
        .fails(4, "validate-inputs")
        .says("the Dockerfile packs is no file")
        .says("packs/Dockerfile");
    let scenario = dockerfile("none");
    let plan = scenario.plan();
    assert_eq!(plan.code, Some(4), "{}", plan.stderr);
}

#[test]
fn something_where_the_product_goes_is_refused() {
    let scenario = Scenario::new();
    fs::create_dir_all(scenario.path("recipe/wso2am-4.1.0")).expect("a folder");
    let scenario = scenario.with_file("recipe/Dockerfile", "FROM scratch\n").args([
        "--output",
        "docker",
        "--dockerfile",
        "recipe/Dockerfile",
    ]);
    scenario.apply().fails(4, "validate-inputs").says("recipe/wso2am-4.1.0 is where the hotfixed product goes");
}

#[test]
fn options_that_contradict_a_dockerfile() {
    let scenario = Scenario::new();
    fs::create_dir(scenario.path("recipe")).expect("a folder");
    let scenario = scenario.with_file("recipe/Dockerfile", "FROM scratch\n");
    let with = |more: &[&str]| {
        let arguments = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "--dockerfile", "recipe/Dockerfile"];
        scenario.run(&[arguments.as_slice(), more].concat()).fails(4, "validate-inputs")
    };
    with(&["--output", "oci:image"]).says("--dockerfile needs an engine").says("leave --output away");
    for option in [["--entrypoint", "[]"], ["--env", "A=1"], ["--product-home", "/p"], ["--chown", "1:1"]] {
        let arguments = ["apply", "packs/wso2am-4.1.0.10.zip", "hotfixes", "--dockerfile", "recipe/Dockerfile"];
        let run = scenario.run(&[arguments.as_slice(), &option].concat()).leaves_nothing();
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        run.says("cannot be used with").says(option[0]).says("--dockerfile");
    }
}

#[test]
fn an_image_without_the_fix_never_passes_for_one_with_it() {
    if !engine::is_there() {
        return;
    }
    let vendor = VendorImage::of(&Scenario::new());
    let unfixed = format!("FROM {}\n", vendor.name);
    let part = SIMPLE.replace("WSO2_SERVER_VERSION} /product", "WSO2_SERVER_VERSION}/bin /product");
    let undone = SIMPLE.to_owned() + "COPY old.txt /product/bin/README.txt\n";
    let original = "How to start the server.\n";
    for (test, dockerfile, words) in [
        ("none", "FROM BASE\nCOPY old.txt /x\n", "holds no product"),
        ("part", &part, "holds no product"),
        ("unfixed", &unfixed, "is in the image as it was before the hotfixes"),
        ("undone", &undone, "bin/README.txt is in the image as it was before the hotfixes"),
    ] {
        for builder in BUILDERS {
            let recipe = Recipe::new(&format!("recipe-{test}-{builder}"), dockerfile).env("DOCKER_BUILDKIT", builder);
            let recipe = recipe.file("old.txt", original);
            recipe.apply().fails(8, "build-image").says(words);
            recipe.is_not_there();
        }
    }
}

#[test]
fn a_file_that_the_recipe_replaced_is_warned_of() {
    if !engine::is_there() {
        return;
    }
    let dockerfile = SIMPLE.to_owned() + "COPY ours.txt /product/bin/README.txt\n";
    let recipe = Recipe::new("recipe-replaced", &dockerfile).file("ours.txt", "ours");
    recipe.apply().succeeds().says("bin/README.txt is not in the image as the hotfixes left it");
    assert_eq!(recipe.run(&["cat", "/product/bin/README.txt"]), "ours");
}

#[test]
fn the_password_is_not_sent_to_a_builder() {
    if !engine::is_there() {
        return;
    }
    let recipe = Recipe::new("recipe-password", SIMPLE).file("secrets/pw", &format!("{PASSWORD}\n"));
    recipe
        .apply()
        .fails(4, "validate-inputs")
        .says("secrets/pw in the build context holds the password of the update tool")
        .says(".dockerignore")
        .does_not_say(PASSWORD);
    recipe.file(".dockerignore", "secrets\n").apply().succeeds();
    let argument = format!("X={PASSWORD}");
    let recipe = Recipe::new("recipe-argument", SIMPLE).args(["--build-arg", &argument]);
    recipe.apply().fails(4, "validate-inputs").says("--build-arg holds the password").does_not_say(PASSWORD);
}

#[test]
fn a_context_that_cannot_be_sent_is_told_before_anything_is_unpacked() {
    if !engine::is_there() {
        return;
    }
    let recipe = Recipe::new("recipe-patterns", SIMPLE).file(".dockerignore", "ok\n[a-\n");
    let run = recipe.apply().fails(4, "validate-inputs").says(".dockerignore has a line that is no pattern: [a-");
    assert!(!run.stderr.contains("extract-pack"));
}
