//! What is in a pack by default, in one of the full shape, and in one of any size.

use crate::archive::{Entries, Entry, usual_mode};
use crate::listing::Listing;

/// Texts of the small pack; the samples patch some of them.
const TEXTS: &[(&str, &str)] = &[
    (
        "bin/api-manager.sh",
        "#!/bin/sh\n# Starts the server.\nexec java -jar \"$(dirname \"$0\")/bootstrap.jar\" \"$@\"\n",
    ),
    ("bin/api-manager.bat", "@echo off\r\njava -jar bootstrap.jar %*\r\n"),
    ("bin/README.txt", "How to start the server.\n"),
    ("LICENSE.txt", "A licence.\n"),
    ("repository/conf/deployment.toml", "[server]\nhostname = \"localhost\"\nnode_ip = \"127.0.0.1\"\n"),
    ("repository/conf/log4j2.properties", "rootLogger.level = INFO\nappenders = CONSOLE\n"),
    ("repository/deployment/server/webapps/publisher/index#main.html", "<html><body>publisher</body></html>\n"),
    ("repository/deployment/server/webapps/publisher/~theme$dark.css", "body { color: white }\n"),
    ("repository/deployment/server/webapps/publisher/@types/api v1.d.ts", "export type Api = { name: string };\n"),
    ("repository/deployment/server/webapps/devportal/site/théme.json", "{ \"name\": \"default\" }\n"),
    ("repository/deployment/server/jaggeryapps/legacy/legacy.jag", "<% print('legacy'); %>\n"),
    ("repository/resources/security/empty.txt", ""),
    ("dbscripts/h2.sql", "CREATE TABLE api (id INT);\n"),
];

/// Files of the small pack that do not compress, with their sizes.
const BINARIES: &[(&str, u64)] = &[
    ("bin/bootstrap.jar", 3000),
    ("lib/endorsed/org.example.xml-2.0.jar", 5000),
    ("repository/components/plugins/org.example.a_1.0.0.jar", 8000),
    ("repository/components/plugins/org.example.b_1.0.0.jar", 6000),
    ("repository/components/plugins/org.example.c_2.3.4.wso2v1.jar", 7000),
    ("repository/deployment/server/webapps/api#am#publisher.war", 9000),
    ("repository/deployment/server/webapps/publisher/logo 2x.png", 2000),
    ("repository/resources/security/client-truststore.jks", 1500),
];

/// A small product with a bit of everything.
pub(super) fn small() -> Entries {
    let texts = TEXTS.iter().map(|(path, text)| ((*path).to_owned(), Entry::file(*text, usual_mode(path))));
    let binaries = BINARIES.iter().map(|(path, size)| ((*path).to_owned(), Entry::filler(path, *size)));
    let empty = [("repository/logs".to_owned(), Entry::EmptyDir)];
    texts.chain(binaries).chain(empty).collect()
}

/// Every file of a real pack, in its size.
pub(super) fn full(listing: Listing) -> Entries {
    listing.entries().map(|entry| (entry.path.to_owned(), Entry::filler(entry.path, entry.size))).collect()
}

/// Adds files of half a megabyte: three jars for each web file.
pub(super) fn add_filler(entries: &mut Entries, total_bytes: u64) {
    const SIZE: u64 = 512 * 1024;
    let mut left = total_bytes;
    for number in 0.. {
        if left == 0 {
            break;
        }
        let path = if number % 4 == 3 {
            format!("repository/deployment/server/webapps/filler/{number:05}.js")
        } else {
            format!("repository/components/plugins/filler.n{number:05}_1.0.0.jar")
        };
        let size = left.min(SIZE);
        let entry = Entry::filler(&path, size);
        entries.insert(path, entry);
        left -= size;
    }
}
