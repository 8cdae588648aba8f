//! Which files a run opened, seen by strace.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::process::Command;

/// A file that was opened, each time that it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    pub path: String,
    pub to_write: bool,
    /// By the update tool, or by what it started.
    pub by_tool: bool,
}

/// What happened in a run.
#[derive(Debug, Default)]
pub struct Trace {
    pub opened: Vec<Opened>,
    /// Bytes read, by the path of the file.
    read: HashMap<String, u64>,
}

/// Whether strace is here and may be used.
pub fn is_there() -> bool {
    let strace = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    strace.is_ok_and(|output| output.status.success())
}

impl Trace {
    /// Runs a command to its good end.
    pub fn of(command: &Command, log: &Path) -> Self {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-y", "-qq", "-s", "1", "-o"]).arg(log);
        strace.arg("-e").arg("trace=%process,open,openat,openat2,creat,read,pread64,readv,preadv");
        strace.arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => strace.env(key, value),
                None => strace.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            strace.current_dir(folder);
        }
        let output = strace.output().expect("strace starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self::parse(&String::from_utf8_lossy(&std::fs::read(log).expect("it writes a log")))
    }

    fn parse(log: &str) -> Self {
        let (mut trace, mut begun) = (Self::default(), HashMap::new());
        let mut tools = HashSet::new();
        for line in log.lines() {
            let Some((process, call)) = line.split_once(' ') else { continue };
            let call = call.trim_start();
            let call = match (call.strip_suffix(" <unfinished ...>"), call.strip_prefix("<... ")) {
                (Some(start), _) => {
                    begun.insert(process, start);
                    continue;
                }
                (_, Some(rest)) => {
                    let rest = rest.split_once(" resumed>").map_or("", |(_, rest)| rest);
                    format!("{}{rest}", begun.remove(process).unwrap_or_default())
                }
                _ => call.to_owned(),
            };
            trace.note(process, &call, &mut tools);
        }
        trace
    }

    fn note<'a>(&mut self, process: &'a str, call: &str, tools: &mut HashSet<Cow<'a, str>>) {
        let (Some((name, arguments)), Some((_, result))) = (call.split_once('('), call.rsplit_once(" = ")) else {
            return;
        };
        if result.starts_with('-') || result.starts_with('?') {
            return;
        }
        let by_tool = tools.contains(process);
        match name {
            "execve" if arguments.contains("/bin/wso2update_") => drop(tools.insert(process.into())),
            "clone" | "clone3" | "fork" | "vfork" if by_tool => drop(tools.insert(result.to_owned().into())),
            "open" | "openat" | "openat2" | "creat" => {
                let to_write = name == "creat" || ["O_WRONLY", "O_RDWR"].iter().any(|flag| arguments.contains(flag));
                if let Some(path) = path_in(result) {
                    self.opened.push(Opened { path, to_write, by_tool });
                }
            }
            "read" | "pread64" | "readv" | "preadv" if !by_tool => {
                let bytes = result.split(' ').next().and_then(|bytes| bytes.parse::<u64>().ok());
                if let (Some(path), Some(bytes)) = (path_in(arguments), bytes) {
                    *self.read.entry(path).or_default() += bytes;
                }
            }
            _ => {}
        }
    }

    /// How often each file of a product was opened, by its path in the product, among those that `wanted` wants.
    pub fn product_files(
        &self,
        product: &BTreeSet<String>,
        wanted: impl Fn(&Opened) -> bool,
    ) -> BTreeMap<String, usize> {
        let mut files = BTreeMap::new();
        for opened in self.opened.iter().filter(|opened| wanted(opened)) {
            // Wherever the product is.
            let ends = opened.path.match_indices('/').map(|(slash, _)| &opened.path[slash + 1..]);
            if let Some(path) = ends.into_iter().find(|end| product.contains(*end)) {
                *files.entry(path.to_owned()).or_default() += 1;
            }
        }
        files
    }

    /// Bytes that we read of a file.
    pub fn bytes_read(&self, path: &Path) -> u64 {
        self.read.get(path.to_str().expect("UTF-8")).copied().unwrap_or_default()
    }
}

/// The first `5</the/path>` in a text, without strace's escapes.
fn path_in(text: &str) -> Option<String> {
    let (path, _) = text.split_once('<')?.1.split_once('>')?;
    let (mut bytes, mut rest) = (Vec::new(), path.as_bytes());
    while let [first, more @ ..] = rest {
        let octal = more.get(..3).filter(|_| *first == b'\\').and_then(|octal| std::str::from_utf8(octal).ok());
        match octal.and_then(|octal| u8::from_str_radix(octal, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[3..];
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[test]
fn traces_are_understood() {
    let log = "\
10 execve(\"/t/bench\", [\"bench\"], 0x7) = 0
10 openat(AT_FDCWD</t>, \"a/lib/x.jar\", O_RDONLY|O_CLOEXEC) = 5</t/a/lib/x.jar>
10 read(5</t/a/lib/x.jar>, \"P\"..., 100) = 100
10 read(5</t/a/lib/x.jar>, \"\"..., 100) = 0
11 openat(AT_FDCWD</t>, \"/c/lib/x.jar\", O_WRONLY|O_CREAT, 0666 <unfinished ...>
10 openat(AT_FDCWD</t>, \"gone\", O_RDONLY) = -1 ENOENT (No such file or directory)
11 <... openat resumed>) = 6</c/lib/x.jar>
12 execve(\"/w/bin/wso2update_linux\", [\"x\"], 0x7) = 0
12 clone(child_stack=NULL, flags=SIGCHLD) = 13
13 openat(AT_FDCWD</w>, \"/w/lib/x.jar\", O_WRONLY|O_TRUNC) = 3</w/lib/x.jar>
";
    let trace = Trace::parse(log);
    let product = BTreeSet::from(["lib/x.jar".to_owned()]);
    let count = |by_tool, to_write| {
        let wanted = |opened: &Opened| opened.by_tool == by_tool && opened.to_write == to_write;
        trace.product_files(&product, wanted).get("lib/x.jar").copied()
    };
    assert_eq!((count(false, false), count(false, true), count(true, true)), (Some(1), Some(1), Some(1)));
    assert_eq!(trace.bytes_read(Path::new("/t/a/lib/x.jar")), 100);
    assert_eq!(path_in(r"5</t/th\303\251me.json>").as_deref(), Some("/t/théme.json"));
}
