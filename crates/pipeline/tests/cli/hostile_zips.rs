//! Packs and hotfixes that somebody made to do harm: refused before the first byte is written, with the entry and the reason.

use crate::support::raw_zip::{Entry, zip, zip_that_says};
use crate::support::scenario::{Run, Scenario};

const TOP: &str = "wso2am-4.1.0";

fn pack_with(entries: &[Entry]) -> Vec<Entry> {
    let product = Entry::file(format!("{TOP}/updates/product.txt"), TOP.as_bytes());
    [product].into_iter().chain(entries.iter().cloned()).collect()
}

fn with_pack(bytes: Vec<u8>) -> Scenario {
    Scenario::new().with_file("packs/wso2am-4.1.0.10.zip", bytes)
}

/// What is refused says so without a byte that a terminal would take for more than text.
fn is_refused(what: &str, run: Run<'_>, said: &str) {
    let run = run.fails(4, "validate-inputs").says(said);
    assert!(run.stderr.chars().all(|c| !c.is_control() || c == '\n'), "{what}: {:?}", run.stderr);
    assert!(!run.stderr.contains('\u{202e}'), "{what}");
}

fn named(name: impl Into<Vec<u8>>) -> Entry {
    Entry::file(name, b"evil")
}

#[test]
fn names_that_lead_elsewhere_or_fool_somebody() {
    let long = format!("{TOP}/{}", "x/".repeat(2500));
    let long_part = format!("{TOP}/{}", "x".repeat(256));
    let cases: [(&[u8], &str); 15] = [
        (b"wso2am-4.1.0/../../evil", "wso2am-4.1.0/../../evil: its name has the part '..'"),
        (b"../evil", "../evil: its name has the part '..'"),
        (b"/etc/evil", "/etc/evil: its name is absolute"),
        (b"wso2am-4.1.0\\evil", "its name has a backslash"),
        (b"C:/evil", "its name begins with a drive letter"),
        (b"wso2am-4.1.0/c:evil", "its name begins with a drive letter"),
        (b"wso2am-4.1.0/a\0b", "its name has control characters"),
        (b"wso2am-4.1.0/a\x1b[31mb\x07", "wso2am-4.1.0/a\\u{1b}[31mb\\u{7}: its name has control characters"),
        (b"wso2am-4.1.0/a\xc2\x9bb", "its name has control characters"),
        (b"wso2am-4.1.0/a\xff\xfe", "its name is not UTF-8"),
        (long.as_bytes(), "its name is of 5013 bytes"),
        (long_part.as_bytes(), "its name has a part of 256 bytes"),
        (b"wso2am-4.1.0//evil", "its name has an empty part"),
        (b"wso2am-4.1.0/./evil", "its name has the part '.'"),
        (b"", "its name has an empty part"),
    ];
    for (name, said) in cases {
        let scenario = with_pack(zip(&pack_with(&[named(name)])));
        is_refused(said, scenario.plan(), said);
    }
}

#[test]
fn names_that_are_one_to_others() {
    let twice = |one: &str, other: &str| pack_with(&[named(format!("{TOP}/{one}")), named(format!("{TOP}/{other}"))]);
    for (one, other, said) in [
        ("bin/a", "bin/a", "bin/a: is there twice"),
        ("bin/A", "bin/a", "bin/a: is the same as bin/A but for case or form"),
        ("bin/ä", "bin/a\u{308}", "but for case or form"),
        ("bin/Ä", "bin/a\u{308}", "but for case or form"),
        ("bin/a", "bin/a/b", "bin/a: is a file or a link, and a folder to others"),
        ("bin/A/x", "bin/a/y", "but for case or form"),
    ] {
        let scenario = with_pack(zip(&twice(one, other)));
        is_refused(said, scenario.plan(), said);
    }
}

#[test]
fn links_that_leave_the_product() {
    let link = |name: &str, target: &str| Entry::link(&format!("{TOP}/{name}"), target);
    let cases: [(Vec<Entry>, &str); 7] = [
        (vec![link("out", "../../etc/passwd")], "out: is a link that leaves the product, to '../../etc/passwd'"),
        (vec![link("out", "/etc/passwd")], "out: is a link that leaves the product, to '/etc/passwd'"),
        (vec![link("out", "")], "out: is a link to nothing"),
        // Each for itself stays inside.
        (vec![link("bin/up", ".."), link("out", "bin/up/..")], "out: is a link that leaves the product"),
        (vec![link("bin/up", ".."), link("bin/out", "up/up/../../etc")], "is a link that leaves the product"),
        (
            vec![link("bin", "lib"), named(format!("{TOP}/bin/evil"))],
            "bin: is a file or a link, and a folder to others",
        ),
        (vec![link("out", &"x".repeat(1 << 21))], "out: its link target has more than 4095 bytes"),
    ];
    for (entries, said) in cases {
        let scenario = with_pack(zip(&pack_with(&entries)));
        is_refused(said, scenario.plan(), said);
    }
    let scenario = with_pack(zip(&pack_with(&[link("bin/in", "../updates/product.txt"), link("bin/round", "round")])));
    assert_eq!(scenario.args(["--through", "0"]).plan().code, Some(0));
}

#[test]
fn names_and_links_that_take_for_ever() {
    let long = pack_with(&[Entry::link(&format!("{TOP}/lib/e"), &"a/".repeat(40_000))]);
    let scenario = with_pack(zip(&long));
    is_refused("a long link", scenario.plan(), "lib/e: its link target has more than 4095 bytes");
    let nothing = with_pack(zip(&pack_with(&[Entry::link(&format!("{TOP}/lib/e"), "")])));
    is_refused("a link to nothing", nothing.plan(), "lib/e: is a link to nothing");
    let folder = with_pack(zip(&pack_with(&[named(format!("{TOP}/lib/"))])));
    is_refused("a folder with content", folder.plan(), "lib/: is a folder, and has content");
    let deep = with_pack(zip(&pack_with(&[named(format!("{TOP}/{}x", "a/".repeat(300)))])));
    is_refused("deep", deep.plan(), "its name has more than 200 parts");
    // Each link takes what the kernel allows, and each file brings folders of its own.
    let links = (0..2000).map(|n| Entry::link(&format!("{TOP}/l{n}"), &"a/".repeat(2000)));
    let scenario = with_pack(zip(&pack_with(&links.collect::<Vec<_>>())));
    let start = std::time::Instant::now();
    scenario.plan().fails(6, "initialize-update-tool").says("has no update tool for this machine");
    assert!(start.elapsed() < std::time::Duration::from_secs(30), "{:?}", start.elapsed());
    let folders = (0..500).map(|n| named(format!("{TOP}/{n}/{}x", "aaaaaaaaaaaaaaaa/".repeat(190))));
    let scenario = with_pack(zip(&pack_with(&folders.collect::<Vec<_>>())));
    is_refused("folders", scenario.plan(), "it has more names than can be kept in mind");
}

#[test]
fn what_is_no_file_folder_or_link() {
    for mode in [0o020_600, 0o060_600, 0o010_600, 0o140_600] {
        let device = Entry { mode, ..named(format!("{TOP}/bin/device")) };
        let scenario = with_pack(zip(&pack_with(&[device])));
        is_refused("device", scenario.plan(), "bin/device: is neither a file nor a folder nor a link");
    }
    let setuid = Entry { mode: 0o106_755, ..named(format!("{TOP}/bin/su")) };
    let scenario = with_pack(zip(&pack_with(&[setuid]))).args(["--through", "0"]);
    let run = scenario.plan();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.says("bin/su: its set-user-id or set-group-id bit is dropped");
}

#[test]
fn ways_of_packing_that_nobody_uses() {
    let file = || named(format!("{TOP}/bin/x"));
    let cases = [
        (Entry { flags: 1, ..file() }, "bin/x: is encrypted"),
        (Entry { flags: 0x41, ..file() }, "bin/x"),
        (Entry { method: 12, ..file() }, "bin/x: is compressed in a way that the vendor does not use"),
        (Entry { method: 93, ..file() }, "bin/x: is compressed in a way that the vendor does not use"),
        (Entry { method: 99, ..file() }, "bin/x"),
        (Entry { method: 1, ..file() }, "bin/x: is compressed in a way that the vendor does not use"),
    ];
    for (entry, said) in cases {
        let scenario = with_pack(zip(&pack_with(&[entry])));
        is_refused(said, scenario.plan(), said);
    }
}

#[test]
fn zips_that_say_two_things() {
    let file = || named(format!("{TOP}/bin/x"));
    let all = pack_with(&[file()]);
    let hidden = Entry { in_directory: false, ..named(format!("{TOP}/bin/hidden")) };
    let nested = zip(&pack_with(&[]));
    let cases: [(&str, Vec<u8>, &str); 10] = [
        (
            "another name",
            zip(&pack_with(&[Entry { local_name: Some(b"wso2am-4.1.0/bin/y".to_vec()), ..file() }])),
            "bin/x: ",
        ),
        ("another size", zip(&pack_with(&[Entry { local_size: Some(5), ..file() }])), "bin/x: "),
        ("not in the directory", zip(&pack_with(&[hidden])), "missing from central directory"),
        ("one in another", zip(&pack_with(&[file(), Entry { at_that_of: Some(1), ..file_named("bin/z") }])), "bin/z: "),
        ("fewer than there are", zip_that_says(&all, 1, b""), "other entries in its directory than it says"),
        ("none of those there are", zip_that_says(&all, 0, b""), "other entries in its directory than it says"),
        ("more than there are", zip_that_says(&all, 3, b""), "is damaged"),
        ("a zip in the comment", zip_that_says(&all, 2, &nested), "is damaged"),
        ("something before it", [b"#!/bin/sh\n".to_vec(), zip(&all)].concat(), "is damaged"),
        ("something after it", [zip(&all), b"more".to_vec()].concat(), "is damaged"),
    ];
    for (what, bytes, said) in cases {
        let scenario = with_pack(bytes);
        is_refused(what, scenario.plan(), said);
    }
}

fn file_named(inner: &str) -> Entry {
    named(format!("{TOP}/{inner}"))
}

#[test]
fn a_count_that_wraps() {
    // 65,540 entries are four to whoever reads sixteen bits.
    let many: Vec<Entry> = (0..65_539).map(|number| Entry::file(format!("{TOP}/{number}"), b"")).collect();
    let scenario = with_pack(zip_that_says(&pack_with(&many), 4, b""));
    is_refused("65,540", scenario.plan(), "other entries in its directory than it says");
}

#[test]
fn seventy_thousand_entries() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pack.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).expect("made"));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for number in 0..70_000 {
        zip.start_file(format!("{TOP}/many/{number}"), options).expect("in the zip");
    }
    zip.start_file(format!("{TOP}/updates/product.txt"), options).expect("in the zip");
    std::io::Write::write_all(&mut zip, TOP.as_bytes()).expect("written");
    zip.finish().expect("written");
    let scenario = with_pack(std::fs::read(&path).expect("readable")).args(["--through", "0"]);
    let run = scenario.plan();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

#[test]
fn data_that_are_not_what_is_declared() {
    let file = || named(format!("{TOP}/bin/x"));
    let cases = [
        (Entry { crc: 1, ..file() }, "bin/x"),
        // Stored data are as long as they are: one of the two lengths is a lie.
        (Entry { size: 3, ..file() }, "bin/x"),
        (Entry { size: 5, ..file() }, "bin/x"),
        (Entry { size: u32::MAX - 1, ..file() }, "bin/x"),
        // No deflated data at all.
        (Entry { method: 8, ..file() }, "bin/x"),
    ];
    for (entry, said) in cases {
        let scenario = with_pack(zip(&pack_with(&[entry]))).args(["--through", "0", "--no-disk-check"]);
        let scenario = scenario.args(["--base-image", "scratch", "--output", "oci:image"]);
        let run = scenario.apply().fails_with(4);
        run.says(said).says("download the pack again");
    }
}

#[test]
fn bombs() {
    // A megabyte of nothing that says to be ten bytes, in a thousandth of its length.
    let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut packed, &vec![0; 1 << 20]).expect("in memory");
    let packed = packed.finish().expect("in memory");
    let bomb =
        |size: u32| Entry { method: 8, size, data: packed.clone(), ..Entry::file(format!("{TOP}/bin/bomb"), b"") };
    let run = |size: u32| {
        let scenario =
            with_pack(zip(&pack_with(&[bomb(size)]))).args(["--through", "0", "--max-unpacked-size", "500KB"]);
        scenario.args(["--base-image", "scratch", "--output", "oci:image"]).apply().fails_with(4).stderr
    };
    assert!(run(1 << 20).contains("more than the limit of 488.3 KiB"), "{}", run(1 << 20));
    let said = run(10);
    assert!(said.contains("bin/bomb") && said.contains("download the pack again"), "{said}");
}

#[test]
fn hotfixes_are_read_in_the_same_way() {
    let manifest = || Entry::file("hotfix.json", b"{}");
    let hidden = Entry { in_directory: false, ..named("hidden") };
    for (what, bytes) in [
        ("not in the directory", zip(&[manifest(), hidden])),
        ("another name", zip(&[Entry { local_name: Some(b"hotfix.txt".to_vec()), ..manifest() }])),
        ("one in another", zip(&[manifest(), Entry { at_that_of: Some(0), ..Entry::file("other.txt", b"{}") }])),
        ("a count that wraps", zip_that_says(&[manifest(), named("x")], 1, b"")),
        ("cut short", zip(&[manifest()])[..60].to_vec()),
    ] {
        let scenario = Scenario::new().with_file("hotfixes/wso2am-4.1.0.10-hf-2.zip", bytes);
        let run = scenario.plan().fails(5, "validate-sequence");
        let run = run.says("hf-2.zip is no zip, or is damaged").says("download the hotfix again");
        assert!(run.stderr.contains("cause: "), "{what}: {}", run.stderr);
    }
}
