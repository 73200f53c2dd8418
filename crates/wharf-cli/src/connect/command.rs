//! What can be typed at the prompt: a message, or a command that begins with a slash.

use std::path::PathBuf;

use wharf::CloseCode;

/// What `/help` says.
pub(super) const HELP: &str = "\
commands:
/ping [TEXT]             send a ping; the pong is shown with the time it took
/pong [TEXT]             send a pong that answers nothing
/binary FILE             send a file as a binary message
/text FILE               send a file as a text message
/hex BYTES               send a binary message, such as /hex 01 fe
/close [CODE [REASON]]   close, with 1000 or this code, and end
/help                    this list
//…                      send a line that begins with one slash less
Any other line is sent as a text message. Ctrl-D and Ctrl-C close; a second Ctrl-C ends at once.
Arrow keys edit and recall lines, Ctrl-R searches them; a pasted text of several lines is one message.";

/// A line, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Send(String),
    Ping(String),
    Pong(String),
    SendFile { path: PathBuf, binary: bool },
    SendBytes(Vec<u8>),
    Close { code: CloseCode, reason: Option<String> },
    Help,
}

impl Command {
    /// # Errors
    /// In one sentence, why the line means nothing. It was not sent.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let Some(command) = line.strip_prefix('/') else {
            return Ok(Self::Send(line.to_owned()));
        };
        if command.starts_with('/') {
            return Ok(Self::Send(command.to_owned()));
        }
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        match name {
            "ping" => Ok(Self::Ping(rest.to_owned())),
            "pong" => Ok(Self::Pong(rest.to_owned())),
            "binary" | "text" if rest.is_empty() => Err(format!("/{name} needs the name of a file")),
            "binary" | "text" => Ok(Self::SendFile { path: rest.into(), binary: name == "binary" }),
            "hex" => hex(rest).map(Self::SendBytes),
            "close" => close(rest),
            "help" if rest.is_empty() => Ok(Self::Help),
            _ => Err(format!(
                "there is no command /{name}; /help lists them, and a line that begins with // is sent with one slash"
            )),
        }
    }
}

fn close(arguments: &str) -> Result<Command, String> {
    let (code, reason) = arguments.split_once(char::is_whitespace).unwrap_or((arguments, ""));
    let reason = Some(reason.trim()).filter(|reason| !reason.is_empty()).map(str::to_owned);
    let code = match code {
        "" => CloseCode::NORMAL,
        _ => CloseCode::new(code.parse().map_err(|_| format!("{code} is no close code, such as 1000"))?),
    };
    Ok(Command::Close { code, reason })
}

fn hex(digits: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<_> = digits.chars().filter(|character| !character.is_whitespace()).collect();
    let wrong = || "/hex needs pairs of the digits 0-9 and a-f".to_owned();
    if digits.len() % 2 == 1 {
        return Err(wrong());
    }
    let nibble = |digit: char| digit.to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits
        .chunks_exact(2)
        .map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?))
        .collect::<Option<_>>()
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(text: &str) -> Command {
        Command::Send(text.to_owned())
    }

    #[test]
    fn a_line_is_a_message_blanks_and_all() {
        for line in ["hi", "", "  two  blanks ", "a /ping", " /ping"] {
            assert_eq!(Command::parse(line), Ok(send(line)));
        }
    }

    #[test]
    fn two_slashes_send_a_line_with_one() {
        assert_eq!(Command::parse("//ping"), Ok(send("/ping")));
        assert_eq!(Command::parse("///"), Ok(send("//")));
    }

    #[test]
    fn commands_take_their_arguments() {
        assert_eq!(Command::parse("/ping"), Ok(Command::Ping(String::new())));
        assert_eq!(Command::parse("/ping  are you there "), Ok(Command::Ping("are you there".to_owned())));
        let file = |binary| Command::SendFile { path: "my file".into(), binary };
        assert_eq!(Command::parse("/binary my file"), Ok(file(true)));
        assert_eq!(Command::parse("/text my file"), Ok(file(false)));
        assert_eq!(Command::parse("/hex 01 fEa0"), Ok(Command::SendBytes(vec![1, 0xfe, 0xa0])));
        let close = |code, reason: Option<&str>| {
            Ok(Command::Close { code: CloseCode::new(code), reason: reason.map(str::to_owned) })
        };
        assert_eq!(Command::parse("/close"), close(1000, None));
        assert_eq!(Command::parse("/close 4001"), close(4001, None));
        assert_eq!(Command::parse("/close 4001 good  bye"), close(4001, Some("good  bye")));
    }

    #[test]
    fn what_is_no_command_is_not_sent() {
        for line in ["/", "/pnig", "/binary", "/hex 1", "/hex zz", "/close now", "/close 70000", "/help me"] {
            assert!(Command::parse(line).is_err(), "{line}");
        }
    }
}
