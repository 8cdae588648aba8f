//! `updates/logs/wso2update-DD-MM-YYYY.log`, which tells who ran what, and where on the machine.

use std::fs::{self, OpenOptions};
use std::io::Write;

use anyhow::Result;

use super::credentials::Credentials;
use super::product::Product;
use super::stamp;

pub(super) fn append(product: &Product, credentials: &Credentials, command: &str) -> Result<()> {
    let folder = product.home.join("updates/logs");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("wso2update-{}.log", stamp::today()));
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(
        file,
        "{} INFO {command}: user {}, product {}, backup {}",
        stamp::time_of_day(),
        credentials.username,
        product.home.display(),
        product.backup().display()
    )?;
    Ok(())
}
