//! Cookies to set, as the client gets them, and what is refused of them.

mod support;

use std::time::{Duration, UNIX_EPOCH};

use support::{Head, Site};
use wharf::{Accept, AcceptError, CookieError, CookieField, SetCookie};

fn setting(cookies: impl IntoIterator<Item = SetCookie>) -> Accept {
    cookies.into_iter().fold(Accept::new(), Accept::cookie)
}

/// The values of `Set-Cookie` that a client gets.
async fn set(cookies: impl IntoIterator<Item = SetCookie>) -> Vec<String> {
    let site = Site::open().await;
    let (mut client, request) = site.ask("").await;
    let _connection = request.accept(setting(cookies)).expect("valid cookies");
    let head = client.head().await;
    assert_eq!(head.status(), 101);
    set_cookies(&head)
}

fn set_cookies(head: &Head) -> Vec<String> {
    let fields = head.fields().into_iter().filter(|(name, _)| name == "set-cookie");
    fields.map(|(_, value)| value.to_owned()).collect()
}

/// Asserts that the caller gets this error, and the client 500 without any of the cookies.
async fn assert_refused(cookies: impl IntoIterator<Item = SetCookie>, expected: CookieError) {
    let site = Site::open().await;
    let (mut client, request) = site.ask("").await;
    assert_eq!(request.accept(setting(cookies)), Err(AcceptError::Cookie(expected)));
    let head = client.head().await;
    assert_eq!(head.status_line(), "HTTP/1.1 500 Internal Server Error");
    assert_eq!((head.field("connection"), set_cookies(&head).len()), (Some("close"), 0));
    client.sees_end().await;
    assert_eq!(site.server.connection_count(), 0);
}

/// Asserts that each of these characters is refused in one field of a cookie.
async fn assert_characters_refused(
    field: CookieField,
    characters: &str,
    cookie: impl Fn(String) -> SetCookie,
) {
    for character in characters.chars() {
        let expected = CookieError::Character { field, character };
        assert_refused([cookie(format!("a{character}b"))], expected).await;
    }
}

fn plain() -> SetCookie {
    SetCookie::new("id", "7")
}

#[tokio::test]
async fn r10_1_each_field_of_a_cookie_stands_in_its_place() {
    let cookie = plain()
        .http_only(true)
        .secure(true)
        .max_age(Duration::from_millis(59_500))
        .expires(UNIX_EPOCH)
        .domain("example.com")
        .path("/a");
    let expected =
        "id=7;Path=/a;Domain=example.com;Expires=Thu, 01 Jan 1970 00:00:00 GMT;Max-Age=60;Secure;HttpOnly";
    assert_eq!(set([cookie]).await, [expected]);
}

#[tokio::test]
async fn r10_2_two_cookies_are_two_lines() {
    assert_eq!(set([SetCookie::new("b", "1"), SetCookie::new("a", "2")]).await, ["b=1", "a=2"]);
}

#[tokio::test]
async fn r10_3_what_is_no_list_of_cookies_is_no_program_and_an_empty_list_is_fine() {
    let one_at_a_time: fn(Accept, SetCookie) -> Accept = Accept::cookie;
    assert_ne!(one_at_a_time(Accept::new(), plain()), Accept::new());
    assert_eq!(set([]).await, [""; 0]);
}

#[tokio::test]
async fn r10_4_a_cookie_without_name_is_an_error_and_500() {
    assert_refused([plain(), SetCookie::new("", "7")], CookieError::Empty { field: CookieField::Name }).await;
}

#[tokio::test]
async fn r10_5_a_cookie_without_value_is_an_error_and_500() {
    assert_refused([SetCookie::new("id", "")], CookieError::Empty { field: CookieField::Value }).await;
}

#[tokio::test]
async fn r10_6_the_same_name_twice_is_an_error_and_500() {
    let twice = [plain(), SetCookie::new("a", "1"), SetCookie::new("id", "8")];
    assert_refused(twice, CookieError::Duplicate { name: "id".to_owned() }).await;
}

#[tokio::test]
async fn r10_7_a_separator_in_a_name_is_an_error_and_500() {
    let separators = "()<>@,;:\\\"/[]?={} \t";
    assert_characters_refused(CookieField::Name, separators, |name| SetCookie::new(name, "7")).await;
}

#[tokio::test]
async fn r10_8_a_comma_quote_blank_or_control_character_in_a_value_is_an_error_and_500() {
    let characters = ",\" ;\t\r\n\0\u{7f}";
    assert_characters_refused(CookieField::Value, characters, |value| SetCookie::new("id", value)).await;
}

#[tokio::test]
async fn r10_9_a_semicolon_or_control_character_in_a_path_is_an_error_and_500() {
    assert_characters_refused(CookieField::Path, ";\t\r\n\0\u{7f}", |path| plain().path(path)).await;
}

#[tokio::test]
async fn r10_10_a_semicolon_or_control_character_in_a_domain_is_an_error_and_500() {
    assert_characters_refused(CookieField::Domain, ";\t\r\n\0\u{7f}", |domain| plain().domain(domain)).await;
}

#[tokio::test]
async fn r10_11_an_age_of_no_second_is_an_error_and_500() {
    for age in [Duration::ZERO, Duration::from_millis(499)] {
        assert_refused([plain().max_age(age)], CookieError::MaxAge).await;
    }
}

#[tokio::test]
async fn r10_12_a_value_in_double_quotes_passes_and_a_domain_is_lower_cased() {
    let cookie = SetCookie::new("id", "\"7\"").domain("Example.COM");
    assert_eq!(set([cookie]).await, ["id=\"7\";Domain=example.com"]);
}

#[tokio::test]
async fn r10_13_expires_has_the_form_of_an_http_date() {
    // RFC 9110 §5.6.7 has this date as its example of an IMF-fixdate.
    let cookie = plain().expires(UNIX_EPOCH + Duration::from_secs(784_111_777));
    assert_eq!(set([cookie]).await, ["id=7;Expires=Sun, 06 Nov 1994 08:49:37 GMT"]);
}
