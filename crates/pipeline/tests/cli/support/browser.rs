//! A real Chromium without a window, driven as the WebDriver standard says (<https://www.w3.org/TR/webdriver2/>).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use serde_json::{Value, json};

use super::engine::{block_on, skip};

pub struct Browser {
    driver: Child,
    session: String,
}

impl Browser {
    /// With a window of so many pixels; none where there is no Chromium here, which is told.
    pub fn start(width: u32, height: u32) -> Option<Self> {
        let (driver, lines, started) = loop {
            let driver =
                Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
            let Ok(mut driver) = driver else {
                skip("no chromedriver is here (Debian: chromium-driver)");
                return None;
            };
            let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines().map_while(Result::ok);
            // It ends where the free port that it has chosen is taken the moment after.
            match lines.find(|line| line.contains("successfully on port ")) {
                Some(started) => break (driver, lines, started),
                None => driver.wait().map(drop).expect("it has ended"),
            }
        };
        let port: String = started.rsplit(' ').next().expect("a word").chars().filter(char::is_ascii_digit).collect();
        // Or it would be ended by a pipe that nobody reads.
        std::thread::spawn(move || lines.count());
        let size = format!("--window-size={width},{height}");
        let options = json!({ "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", size] });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" } } } });
        let host = format!("http://127.0.0.1:{port}");
        let made = ask("POST", &format!("{host}/session"), &wanted);
        let session = format!("{host}/session/{}", made["sessionId"].as_str().expect("a session"));
        Some(Self { driver, session })
    }

    pub fn open(&self, file: &Path) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._".contains(&byte);
        let escaped = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        let path: String = file.to_str().expect("UTF-8").bytes().map(escaped).collect();
        self.post("url", &json!({ "url": format!("file://{path}") }));
    }

    /// What a script returns.
    pub fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Types into the element that a selector finds.
    pub fn type_into(&self, selector: &str, text: &str) {
        let found = self.post("element", &json!({ "using": "css selector", "value": selector }));
        let id = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str).expect("an element");
        self.post(&format!("element/{id}/value"), &json!({ "text": text }));
    }

    /// What the console said, and addresses that were fetched.
    pub fn said_and_fetched(&self) -> (Vec<String>, Vec<String>) {
        let log = |kind: &str| {
            let entries = self.post("se/log", &json!({ "type": kind }));
            let messages = entries.as_array().expect("a list").iter();
            messages.map(|entry| entry["message"].as_str().expect("text").to_owned()).collect::<Vec<String>>()
        };
        let addresses = log("performance").into_iter().filter_map(|message| {
            let event: Value = serde_json::from_str(&message).expect("JSON");
            let event = &event["message"];
            let is_request = event["method"] == "Network.requestWillBeSent";
            is_request.then(|| event["params"]["request"]["url"].as_str().expect("text").to_owned())
        });
        let addresses = addresses.collect();
        (log("browser"), addresses)
    }

    pub fn picture(&self) -> Vec<u8> {
        let picture = ask("GET", &format!("{}/screenshot", self.session), &Value::Null);
        base64::engine::general_purpose::STANDARD.decode(picture.as_str().expect("text")).expect("base64")
    }

    fn post(&self, what: &str, body: &Value) -> Value {
        ask("POST", &format!("{}/{what}", self.session), body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        ask("DELETE", &self.session, &Value::Null);
        let _ = self.driver.kill().and_then(|()| self.driver.wait());
    }
}

fn ask(method: &str, address: &str, body: &Value) -> Value {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let method = method.parse().expect("a method");
    let text = block_on(async {
        let request = reqwest::Client::new().request(method, address);
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        request.send().await.expect("it answers").text().await.expect("text")
    });
    let answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(answer["value"]["error"].is_null(), "{address}: {text}");
    answer["value"].clone()
}
