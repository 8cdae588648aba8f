//! Whether the data of a product is in its own folder: an embedded H2, as it comes, or in databases elsewhere.

use std::fs;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::folders::DATABASE;

const SETTINGS: &str = "repository/conf/deployment.toml";
/// Databases that products bring with them, embedded, and the names by which settings put them elsewhere: what is not named stays as
/// it came.
const BROUGHT: [(&str, &str); 3] =
    [("apim_db", "WSO2AM_DB.mv.db"), ("shared_db", "WSO2SHARED_DB.mv.db"), ("identity_db", "WSO2IDENTITY_DB.mv.db")];
const H2: &str = "h2";
const UNKNOWN: &str = "unknown";
/// Of products from before `deployment.toml`.
const OLD_SETTINGS: &str = "repository/conf/datasources/master-datasources.xml";

/// Where the data is, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Databases {
    /// In `repository/database`, some of it at least.
    Embedded(String),
    /// All of it elsewhere.
    External(String),
}

impl Databases {
    /// Of the product in `home`.
    pub(super) fn of(home: &Path) -> Self {
        match fs::read_to_string(home.join(SETTINGS)) {
            Ok(text) => by_settings(&text, |file| home.join(DATABASE).join(file).exists()),
            Err(_) => match fs::read_to_string(home.join(OLD_SETTINGS)) {
                Ok(text) if !text.contains("jdbc:h2") && text.contains("jdbc:") => {
                    Self::External(format!("{OLD_SETTINGS} names external databases only"))
                }
                _ => Self::Embedded("databases are embedded where nothing else is set".to_owned()),
            },
        }
    }
}

fn by_settings(text: &str, is_there: impl Fn(&str) -> bool) -> Databases {
    let Ok(table) = DeTable::parse(text) else {
        return Databases::Embedded(format!("{SETTINGS} cannot be read, so they may be embedded"));
    };
    let (mut kinds, mut names) = (Vec::new(), Vec::new());
    for (key, value) in table.get_ref() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            // `[database.apim_db]`, and `[[datasource]]` for those of the user's own.
            ("database", DeValue::Table(databases)) => {
                names.extend(databases.keys().map(|name| name.get_ref().as_ref()));
                kinds.extend(databases.values().map(|database| kind_of(database.get_ref())));
            }
            ("datasource", DeValue::Array(sources)) => {
                kinds.extend(sources.iter().map(|source| kind_of(source.get_ref())));
            }
            _ => {}
        }
    }
    let unnamed = BROUGHT.iter().find(|(name, file)| !names.contains(name) && is_there(file));
    match kinds.as_slice() {
        [] => Databases::Embedded(format!("{SETTINGS} names no database, so they are embedded")),
        kinds if kinds.iter().any(|kind| kind == H2) => Databases::Embedded(format!("{SETTINGS} names an embedded H2")),
        kinds if kinds.iter().any(|kind| kind == UNKNOWN) => Databases::Embedded(format!(
            "{SETTINGS} does not say of which kind each database is, so they may be embedded"
        )),
        kinds => match unnamed {
            Some((name, file)) => Databases::Embedded(format!("{SETTINGS} does not name {name}, so {file} is in use")),
            None => Databases::External(format!(
                "{SETTINGS} names external databases only ({}); --include {DATABASE} takes what is there all the same",
                kinds.join(", ")
            )),
        },
    }
}

/// `h2`, `mysql` and so on, by the type or the address; `h2` as well where any setting says so, and what is written as a variable,
/// or not at all, is unknown.
fn kind_of(database: &DeValue<'_>) -> String {
    let text = |name: &str| match database {
        DeValue::Table(settings) => match settings.get(name)?.get_ref() {
            DeValue::String(text) => Some(text.to_lowercase()),
            _ => None,
        },
        _ => None,
    };
    let address = text("url").and_then(|url| Some(url.strip_prefix("jdbc:")?.split(':').next()?.to_owned()));
    let driver = text("driver").or_else(|| text("driverClassName"));
    if address.as_deref() == Some(H2) || driver.is_some_and(|driver| driver.contains("org.h2")) {
        return H2.to_owned();
    }
    text("type").or(address).filter(|kind| !kind.contains('$')).unwrap_or_else(|| UNKNOWN.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_embedded(text: &str) -> bool {
        matches!(by_settings(text, |_| false), Databases::Embedded(_))
    }

    #[test]
    fn one_that_is_embedded_is_enough() {
        let h2 = "[database.apim_db]\ntype = \"h2\"\nurl = \"jdbc:h2:./x\"\n";
        let mysql = "[database.shared_db]\ntype = \"mysql\"\nurl = \"jdbc:mysql://db/x\"\n";
        let source = "[[datasource]]\nid = \"a\"\nurl = \"jdbc:H2:./x\"\n";
        for text in ["", "[server]\nhostname = \"x\"\n", h2, &[h2, mysql].concat(), &[mysql, source].concat(), "no = ["]
        {
            assert!(is_embedded(text), "{text}");
        }
        let oracle = "[database.x]\nurl = \"jdbc:oracle:thin:@db\"\n";
        let expected = "repository/conf/deployment.toml names external databases only (mysql, oracle); \
                        --include repository/database takes what is there all the same";
        assert_eq!(by_settings(&[mysql, oracle].concat(), |_| false), Databases::External(expected.to_owned()));
    }

    #[test]
    fn what_is_not_said_may_be_embedded() {
        for settings in [
            "url = \"$env{URL}\"",
            "type = \"$env{TYPE}\"\nurl = \"jdbc:mysql://db/x\"",
            "type = \"mysql\"\nurl = \"jdbc:h2:./x\"",
            "type = \"mysql\"\ndriver = \"org.h2.Driver\"",
            "type = 1",
            "[database.apim_db.pool_options]\nmaxActive = 5",
        ] {
            assert!(is_embedded(&format!("[database.apim_db]\n{settings}\n")), "{settings}");
        }
        assert!(is_embedded("database = { apim_db = 1 }\n"));
        assert!(!is_embedded("[database.apim_db]\ntype = \"mysql\"\nurl = \"$env{URL}\"\n"));
    }

    #[test]
    fn what_is_not_named_stays_as_it_came() {
        let text = "[database.shared_db]\ntype = \"mysql\"\n";
        let expected = "repository/conf/deployment.toml does not name apim_db, so WSO2AM_DB.mv.db is in use";
        let of_pack = |file: &str| file != "WSO2IDENTITY_DB.mv.db";
        assert_eq!(by_settings(text, of_pack), Databases::Embedded(expected.to_owned()));
        let both = [text, "[database.apim_db]\nurl = \"jdbc:mysql://db/am\"\n"].concat();
        assert!(matches!(by_settings(&both, of_pack), Databases::External(_)));
    }
}
