use std::time::UNIX_EPOCH;

use http::HeaderValue;

use super::*;

fn cookies(fields: &[&'static str]) -> Cookies {
    let mut headers = HeaderMap::new();
    for field in fields {
        headers.append(header::COOKIE, HeaderValue::from_static(field));
    }
    Cookies::from_headers(&headers)
}

#[track_caller]
fn assert_parsed<const N: usize>(field: &'static str, expected: [(&str, Option<&str>); N]) {
    assert_eq!(cookies(&[field]).iter().collect::<Vec<_>>(), expected);
}

#[test]
fn r8_1_names_and_values_are_split_trimmed_unquoted_and_decoded() {
    assert_parsed(
        r#"a=1; b="q v"; c=%41; d; e=x=y"#,
        [("a", Some("1")), ("b", Some("q v")), ("c", Some("A")), ("d", None), ("e", Some("x=y"))],
    );
    assert_parsed("\ta =\t1 ;b= 2", [("a", Some("1")), ("b", Some("2"))]);
}

#[test]
fn r8_2_a_comma_is_part_of_the_value() {
    assert_parsed("a=1,2", [("a", Some("1,2"))]);
    assert_parsed(r#"a="1, b=2""#, [("a", Some("1, b=2"))]);
}

#[test]
fn r8_a_semicolon_separates_within_quotes_too() {
    // RFC 6265 §4.2.1 has no octet for it; taking it as quoted lets one cookie swallow the next.
    assert_parsed(r#"a="x; b=y""#, [("a", Some(r#""x"#)), ("b", Some(r#"y""#))]);
}

#[test]
fn r8_3_a_value_with_a_malformed_escape_stays_as_it_was_sent() {
    for (field, value) in
        [("a=%zz", "%zz"), ("a=%41%4", "%41%4"), ("a=%", "%"), ("a=%ff", "%ff"), ("a=%+1", "%+1")]
    {
        assert_parsed(field, [("a", Some(value))]);
    }
    assert_parsed("a=%e2%82%AC", [("a", Some("€"))]);
}

#[test]
fn r8_empty_pieces_are_skipped_and_an_empty_value_is_a_value() {
    assert_parsed(r#";; a=; ;b="" ;"#, [("a", Some("")), ("b", Some(""))]);
    assert!(cookies(&["; ;"]).is_empty());
    assert!(cookies(&[]).is_empty());
}

#[test]
fn r8_order_and_duplicates_are_kept_over_several_fields() {
    let cookies = cookies(&["b=1; a=2", "b=3"]);
    assert_eq!(cookies.iter().collect::<Vec<_>>(), [("b", Some("1")), ("a", Some("2")), ("b", Some("3"))]);
    assert_eq!(cookies.len(), 3);
    assert_eq!(cookies.get("b"), Some("1"));
    assert_eq!(cookies.get("B"), None);
}

#[test]
fn r8_bytes_that_are_not_text_do_not_hurt() {
    let mut headers = HeaderMap::new();
    headers.insert(header::COOKIE, HeaderValue::from_bytes(b"a=\xff; b=2").unwrap());
    let cookies = Cookies::from_headers(&headers);
    assert_eq!(cookies.iter().collect::<Vec<_>>(), [("a", Some("\u{fffd}")), ("b", Some("2"))]);
}

fn full() -> SetCookie {
    SetCookie::new("name", "value")
        .path("/a")
        .domain("Example.COM")
        .expires(UNIX_EPOCH)
        .max_age(Duration::from_millis(1500))
        .secure(true)
        .http_only(true)
}

fn refusal(cookie: &SetCookie) -> String {
    cookie.to_header_value().unwrap_err().to_string()
}

#[test]
fn r10_1_each_field_is_written_in_its_place() {
    assert_eq!(
        full().to_header_value().unwrap(),
        "name=value;Path=/a;Domain=example.com;Expires=Thu, 01 Jan 1970 00:00:00 GMT;Max-Age=2;Secure;HttpOnly"
    );
    assert_eq!(SetCookie::new("a", "1").to_header_value().unwrap(), "a=1");
}

#[test]
fn r10_2_two_cookies_are_two_values_in_their_order() {
    let values = set_cookie_values(&[SetCookie::new("b", "1"), SetCookie::new("a", "2")]).unwrap();
    assert_eq!(values, ["b=1", "a=2"]);
    assert_eq!(set_cookie_values(&[]).unwrap(), [""; 0]);
}

#[test]
fn r10_4_a_cookie_without_name_is_an_error() {
    assert_eq!(refusal(&SetCookie::new("", "1")), "the cookie's name is empty");
}

#[test]
fn r10_5_a_cookie_without_value_is_an_error() {
    assert_eq!(refusal(&SetCookie::new("a", "")), "the cookie's value is empty");
}

#[test]
fn r10_6_the_same_name_twice_is_an_error_and_no_name_is_special() {
    let twice = [SetCookie::new("a", "1"), SetCookie::new("a", "2")];
    assert_eq!(set_cookie_values(&twice).unwrap_err(), CookieError::Duplicate { name: "a".to_owned() });
    assert!(set_cookie_values(&[SetCookie::new("constructor", "1"), SetCookie::new("A", "1")]).is_ok());
}

#[test]
fn r10_7_a_separator_or_other_character_that_no_token_has_is_an_error_in_a_name() {
    for character in "()<>@,;:\\\"/[]?={} \t\r\n\0\u{7f}é".chars() {
        assert_eq!(
            SetCookie::new(format!("a{character}b"), "1").to_header_value(),
            Err(CookieError::Character { field: CookieField::Name, character })
        );
    }
    assert_eq!(refusal(&SetCookie::new("a;", "1")), "the character ';' is not allowed in a cookie's name");
}

#[test]
fn r10_8_comma_quote_blank_and_control_characters_are_errors_in_a_value() {
    for character in ",;\\\" \t\r\n\0\u{7f}é".chars() {
        for value in [format!("1{character}2"), format!("\"1{character}2\"")] {
            assert_eq!(
                SetCookie::new("a", value).to_header_value(),
                Err(CookieError::Character { field: CookieField::Value, character })
            );
        }
    }
    assert!(SetCookie::new("a", "\"").to_header_value().is_err());
}

#[test]
fn r10_9_semicolon_blank_and_control_characters_are_errors_in_a_path() {
    for character in "; \t\r\n\0\u{7f}é".chars() {
        assert_eq!(
            full().path(format!("/{character}")).to_header_value(),
            Err(CookieError::Character { field: CookieField::Path, character })
        );
    }
    assert_eq!(refusal(&full().path("")), "the cookie's path is empty");
}

#[test]
fn r10_10_semicolon_blank_and_control_characters_are_errors_in_a_domain() {
    for character in "; \t\r\n\0\u{7f}é".chars() {
        assert_eq!(
            full().domain(format!("a{character}")).to_header_value(),
            Err(CookieError::Character { field: CookieField::Domain, character })
        );
    }
    assert_eq!(refusal(&full().domain("")), "the cookie's domain is empty");
}

#[test]
fn r10_11_an_age_that_rounds_to_no_second_is_an_error() {
    for milliseconds in [0, 200, 499] {
        assert_eq!(
            full().max_age(Duration::from_millis(milliseconds)).to_header_value(),
            Err(CookieError::MaxAge)
        );
    }
    assert!(full().max_age(Duration::from_millis(500)).to_header_value().is_ok());
    assert!(full().max_age(Duration::MAX).to_header_value().is_ok());
}

#[test]
fn r10_12_a_value_in_quotes_keeps_them() {
    assert_eq!(SetCookie::new("a", "\"1\"").to_header_value().unwrap(), "a=\"1\"");
}

#[test]
fn r10_13_expires_beyond_what_the_form_can_say_is_an_error() {
    assert_eq!(
        full().expires(UNIX_EPOCH - Duration::from_secs(1)).to_header_value(),
        Err(CookieError::Expires)
    );
}
