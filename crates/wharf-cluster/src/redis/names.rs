//! What topics are called at Redis.

use wharf::hub::{Topic, TopicPattern};

/// The names of channels and keys, which all begin with a prefix.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: String,
    /// What a channel's name has before the topic's.
    channels: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), channels: format!("{prefix}:t:") }
    }

    /// The channel of a topic.
    pub(super) fn channel(&self, topic: &str) -> String {
        format!("{}{topic}", self.channels)
    }

    /// The topic of a channel, if it is one's.
    pub(super) fn topic(&self, channel: &[u8]) -> Option<Topic> {
        let topic = channel.strip_prefix(self.channels.as_bytes())?;
        Topic::new(std::str::from_utf8(topic).ok()?).ok()
    }

    /// Matches the channels of all topics that the pattern matches, and perhaps of others. Two patterns never have the same.
    pub(super) fn glob(&self, pattern: &TopicPattern) -> String {
        let mut glob = String::new();
        escape(&self.channels, &mut glob);
        for (index, token) in pattern.split('.').enumerate() {
            if index > 0 {
                glob.push('.');
            }
            match token {
                // More than a dot would be, so that it differs from the one for the rest.
                "*" => glob.push_str("[^.]*"),
                ">" => glob.push('*'),
                token => escape(token, &mut glob),
            }
        }
        glob
    }

    /// The keys of a topic's history: the hash, and the stream. What is in braces puts them on one node of a cluster.
    pub(super) fn keys(&self, topic: &Topic) -> [String; 2] {
        let key = |what| format!("{}:{{t:{topic}}}:{what}", self.prefix);
        [key("state"), key("log")]
    }
}

fn escape(text: &str, into: &mut String) {
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            into.push('\\');
        }
        into.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::new("wharf")
    }

    #[test]
    fn a_channel_is_the_topic_behind_the_prefix() {
        let topic = Topic::new("räume.a[1]").unwrap();
        let channel = names().channel(&topic);
        assert_eq!(channel, "wharf:t:räume.a[1]");
        assert_eq!(names().topic(channel.as_bytes()), Some(topic));
        for other in ["wharf:t:", "wharf:t:a b", "other:t:a", "wharf:a"] {
            assert_eq!(names().topic(other.as_bytes()), None, "{other}");
        }
        assert_eq!(names().topic(b"wharf:t:\xff"), None);
    }

    #[test]
    fn what_a_glob_takes_for_more_than_itself_is_escaped() {
        let glob = |pattern| names().glob(&TopicPattern::new(pattern).unwrap());
        assert_eq!(glob("a.*"), "wharf:t:a.[^.]*");
        assert_eq!(glob("a.>"), "wharf:t:a.*");
        assert_eq!(glob("a[1]?.*.\\"), "wharf:t:a\\[1\\]\\?.[^.]*.\\\\");
        assert_eq!(Names::new("a*").glob(&TopicPattern::new(">").unwrap()), "a\\*:t:*");
    }

    #[test]
    fn the_keys_of_a_topic_share_what_is_hashed_on_a_cluster() {
        let [state, log] = names().keys(&Topic::new("}a").unwrap());
        assert_eq!(state, "wharf:{t:}a}:state");
        assert_eq!(log, "wharf:{t:}a}:log");
    }
}
