//! The request's own headers, from the command line, files and the environment.

use std::path::PathBuf;
use std::{env, fs};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use http::{HeaderName, HeaderValue};

/// What goes into the request's header. Secrets need not stand on the command line, where every user of the machine
/// can read them.
#[derive(Args, Debug, Default)]
pub(crate) struct Credentials {
    /// Send a header, `Name: value`; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    pub(crate) headers: Vec<String>,

    /// Send the headers in a file, one a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) header_file: Option<PathBuf>,

    /// Send a header with the value of an environment variable; may be given several times.
    #[arg(long, value_name = "NAME=VARIABLE")]
    pub(crate) header_env: Vec<String>,

    #[arg(
        help = "Log in with HTTP's basic authentication; the password may be left to the variable WHARF_PASSWORD"
    )]
    #[arg(short, long, value_name = "NAME[:PASSWORD]")]
    pub(crate) user: Option<String>,
}

impl Credentials {
    /// The headers to send, in the order that they were given, those from files last.
    ///
    /// # Errors
    /// In one sentence, which of them means nothing. Values are never told.
    pub(crate) fn to_headers(&self) -> Result<Vec<Header>, String> {
        let mut headers = Vec::new();
        if let Some(user) = &self.user {
            let (name, password) = login(user, "--user", "WHARF_PASSWORD")?;
            headers.push(("Authorization".to_owned(), basic(&name, &password)));
        }
        for header in &self.headers {
            headers.push(header_of(header).map_err(|error| format!("--header {error}"))?);
        }
        for assignment in &self.header_env {
            headers.push(header_from_environment(assignment)?);
        }
        if let Some(path) = &self.header_file {
            let shown = path.display();
            let lines = fs::read_to_string(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
            for (at, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                headers.push(header_of(line).map_err(|error| format!("{shown}, line {}: {error}", at + 1))?);
            }
        }
        Ok(headers)
    }
}

/// A header's name and value, as they go out.
pub(crate) type Header = (String, String);

/// `NAME[:PASSWORD]`, with the password from a variable where it is left away.
///
/// # Errors
/// In one sentence, why there is no password.
pub(crate) fn login(user: &str, flag: &str, variable: &str) -> Result<(String, String), String> {
    if let Some((name, password)) = user.split_once(':') {
        return Ok((name.to_owned(), password.to_owned()));
    }
    let password = env::var(variable)
        .map_err(|_| format!("{flag} {user} has no password, and {variable} is not set"))?;
    Ok((user.to_owned(), password))
}

/// HTTP's basic authentication (RFC 7617 §2).
fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

fn header_of(line: &str) -> Result<Header, String> {
    let (name, value) = line.split_once(':').ok_or("needs the form Name: value")?;
    header(name, value)
}

fn header_from_environment(assignment: &str) -> Result<Header, String> {
    let (name, variable) = assignment.split_once('=').ok_or("--header-env needs the form NAME=VARIABLE")?;
    let value =
        env::var(variable).map_err(|_| format!("--header-env: {variable} is not set, or is not text"))?;
    header(name, &value).map_err(|error| format!("--header-env {error}"))
}

fn header(name: &str, value: &str) -> Result<Header, String> {
    let (name, value) = (name.trim(), value.trim());
    // The library would say which value is wrong, and it may be a secret.
    if name.parse::<HeaderName>().is_err() {
        return Err(format!("{name:?} is no header's name"));
    }
    if HeaderValue::from_str(value).is_err() {
        return Err(format!("{name} has a value that no header can have"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(credentials: &Credentials) -> Result<Vec<Header>, String> {
        credentials.to_headers()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_header_is_a_name_and_a_value() {
        let credentials = Credentials {
            headers: ["X-One: 1", "x-two:2:3 ", "X-Empty:"].map(str::to_owned).to_vec(),
            ..Credentials::default()
        };
        let expected = vec![pair("X-One", "1"), pair("x-two", "2:3"), pair("X-Empty", "")];
        assert_eq!(headers(&credentials), Ok(expected));
    }

    #[test]
    fn a_user_with_a_password_is_basic_authentication() {
        // The example of RFC 7617 §2.
        let credentials =
            Credentials { user: Some("Aladdin:open sesame".to_owned()), ..Credentials::default() };
        assert_eq!(
            headers(&credentials),
            Ok(vec![pair("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")])
        );
    }

    #[test]
    fn a_bad_header_is_told_without_its_value() {
        for header in ["secret", "Bad Name: secret", "Name: secret\r\nOther: secret"] {
            let credentials = Credentials { headers: vec![header.to_owned()], ..Credentials::default() };
            let error = headers(&credentials).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_an_error() {
        let credentials = Credentials {
            header_env: vec!["Authorization=WHARF_TEST_NEVER_SET".to_owned()],
            ..Credentials::default()
        };
        assert!(headers(&credentials).unwrap_err().contains("WHARF_TEST_NEVER_SET"));
    }
}
