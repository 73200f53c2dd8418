//! Paths that a route is for.

use std::fmt;

/// The path of a route: everything, a literal, or segments of which some have a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    text: Box<str>,
    shape: Shape,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// `*`
    Everything,
    /// Compared whole with the text.
    Literal,
    /// What stands between the slashes.
    Segments(Box<[Segment]>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    /// `{name}`: any one segment that is not empty.
    Named(Box<str>),
    /// `{*name}`: all that is left of the path, slashes too. Only at the end.
    Rest(Box<str>),
}

/// Values of a pattern's names in a path, in its order, as the client sent them.
pub(super) type Parameters = Vec<(Box<str>, Box<str>)>;

/// Why a text is no path of a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// It would match no path at all.
    #[error(
        "the path {path:?} is neither \"*\" nor does it begin with \"/\", so that no request would have it"
    )]
    NotAPath {
        /// The text.
        path: String,
    },
    /// A `?` or `#`: queries and fragments are no part of what is matched.
    #[error("the path {path:?} has a query or a fragment, which routes are not matched against")]
    NotOnlyAPath {
        /// The text.
        path: String,
    },
    /// A segment with a brace that is neither `{name}` nor `{*name}`.
    #[error("the segment {segment:?} of the path {path:?} is neither a literal nor {{name}} nor {{*name}}")]
    Segment {
        /// The text.
        path: String,
        /// What stands between two slashes.
        segment: String,
    },
    /// `{*name}` takes all that follows, so that nothing can follow it.
    #[error("in the path {path:?} something follows {{*{name}}}, which takes the rest of a path")]
    RestNotLast {
        /// The text.
        path: String,
        /// Its name.
        name: String,
    },
    /// Two values under one name could not be told apart.
    #[error("the path {path:?} has two segments called {name:?}")]
    NameTwice {
        /// The text.
        path: String,
        /// The name.
        name: String,
    },
}

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, PatternError> {
        let shape = if text == "*" { Shape::Everything } else { Shape::of(text)? };
        Ok(Self { text: text.into(), shape })
    }

    /// As it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The values of its names, if it matches. Nothing is decoded; case and trailing slashes count.
    pub(super) fn matches(&self, path: &str) -> Option<Parameters> {
        match &self.shape {
            Shape::Everything => Some(Parameters::new()),
            Shape::Literal => (*path == *self.text).then(Parameters::new),
            Shape::Segments(segments) => match_segments(segments, path),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Shape {
    fn of(text: &str) -> Result<Self, PatternError> {
        let path = || text.to_owned();
        let Some(rest) = text.strip_prefix('/') else { return Err(PatternError::NotAPath { path: path() }) };
        if text.contains(['?', '#']) {
            return Err(PatternError::NotOnlyAPath { path: path() });
        }
        if !text.contains(['{', '}']) {
            return Ok(Self::Literal);
        }
        let mut segments = Vec::new();
        for segment in rest.split('/') {
            if let Some(Segment::Rest(name)) = segments.last() {
                return Err(PatternError::RestNotLast { path: path(), name: name.to_string() });
            }
            let parsed = Segment::new(segment)
                .ok_or_else(|| PatternError::Segment { path: path(), segment: segment.to_owned() })?;
            if let Some(name) = parsed.name()
                && segments.iter().any(|earlier: &Segment| earlier.name() == Some(name))
            {
                return Err(PatternError::NameTwice { path: path(), name: name.to_owned() });
            }
            segments.push(parsed);
        }
        Ok(Self::Segments(segments.into()))
    }
}

impl Segment {
    fn new(text: &str) -> Option<Self> {
        if !text.contains(['{', '}']) {
            return Some(Self::Literal(text.into()));
        }
        let inner = text.strip_prefix('{')?.strip_suffix('}')?;
        let (name, is_rest) = inner.strip_prefix('*').map_or((inner, false), |name| (name, true));
        let is_name = !name.is_empty() && !name.contains(['{', '}', '*']);
        is_name.then(|| if is_rest { Self::Rest(name.into()) } else { Self::Named(name.into()) })
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Named(name) | Self::Rest(name) => Some(name),
        }
    }
}

fn match_segments(segments: &[Segment], path: &str) -> Option<Parameters> {
    let mut parameters = Parameters::new();
    let mut left = Some(path.strip_prefix('/')?);
    for segment in segments {
        let rest = left?;
        let (first, behind) =
            rest.split_once('/').map_or((rest, None), |(first, behind)| (first, Some(behind)));
        match segment {
            Segment::Literal(literal) if **literal == *first => left = behind,
            Segment::Named(name) if !first.is_empty() => {
                parameters.push((name.clone(), first.into()));
                left = behind;
            }
            Segment::Rest(name) if !rest.is_empty() => {
                parameters.push((name.clone(), rest.into()));
                left = None;
            }
            _ => return None,
        }
    }
    left.is_none().then_some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(pattern: &str, path: &str) -> Option<Vec<(String, String)>> {
        let parameters = Pattern::new(pattern).unwrap().matches(path)?;
        Some(parameters.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    fn values(pattern: &str, path: &str) -> Option<Vec<String>> {
        Some(matched(pattern, path)?.into_iter().map(|(_, value)| value).collect())
    }

    #[test]
    fn t2_1_a_literal_path_is_matched_whole_and_literally() {
        for path in ["/a.b", "/", "/a/*", "/a//b", "/%20"] {
            assert_eq!(matched(path, path), Some(Vec::new()));
        }
        for (pattern, path) in [("/a.b", "/aXb"), ("/a", "/a/"), ("/a", "/ab"), ("/a/*", "/a/b"), ("/", "")] {
            assert_eq!(matched(pattern, path), None, "{pattern} {path}");
        }
    }

    #[test]
    fn t2_2_a_star_matches_everything() {
        for path in ["/", "/a/b/c", "/a//", ""] {
            assert_eq!(matched("*", path), Some(Vec::new()));
        }
    }

    #[test]
    fn t2_3_a_named_segment_matches_any_one_segment_and_tells_it() {
        assert_eq!(matched("/{room}", "/red"), Some(vec![("room".to_owned(), "red".to_owned())]));
        assert_eq!(values("/chat/{room}/{user}", "/chat/red/ann"), Some(vec!["red".into(), "ann".into()]));
        assert_eq!(values("/{room}/log", "/a%2Fb/log"), Some(vec!["a%2Fb".into()]));
        for path in ["/chat/", "/chat", "/chat/a/", "/chat/a/b", "/Chat/a", "/chat//", "chat/a", ""] {
            assert_eq!(matched("/chat/{room}", path), None, "{path}");
        }
    }

    #[test]
    fn t2_3_a_named_rest_takes_all_that_is_left() {
        assert_eq!(values("/files/{*path}", "/files/a/b/c/"), Some(vec!["a/b/c/".into()]));
        assert_eq!(values("/{kind}/{*path}", "/x//"), Some(vec!["x".into(), "/".into()]));
        assert_eq!(matched("/files/{*path}", "/files/"), None);
        assert_eq!(matched("/files/{*path}", "/files"), None);
    }

    #[test]
    fn t2_4_what_could_match_nothing_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "begin with \"/\""),
            ("chat", "begin with \"/\""),
            ("**", "begin with \"/\""),
            ("/chat?x=1", "query"),
            ("/chat#top", "fragment"),
            ("/a{b}", "\"a{b}\""),
            ("/{}", "\"{}\""),
            ("/{*}", "\"{*}\""),
            ("/{a}b", "\"{a}b\""),
            ("/}{", "\"}{\""),
            ("/{*rest}/more", "{*rest}"),
            ("/{x}/{x}", "two segments called \"x\""),
        ] {
            let error = Pattern::new(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
