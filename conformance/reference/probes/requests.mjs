// What a request tells of its client.

import { answer, describe, accept } from "../program.mjs";

const program = { request: [describe, accept()] };
const told = (name, request, more = {}) => answer(`told: ${name}`, request, { program, ...more });
const field = (name, value) => ({ fields: { [name]: value } });
const protocols = (value) => field("Sec-WebSocket-Protocol", value);
const extensions = (value) => field("Sec-WebSocket-Extensions", value);
const cookies = (value) => field("Cookie", value);
const forwarded = (value) => field("X-Forwarded-For", value);

export const requests = [
  told("path and query", { target: "/a%20b?x=1&x=2&y" }),
  told("a target with a fragment", { target: "/a?x=1#f" }),
  told("an absolute target", { target: "http://example.com/p?q=1" }),
  told("an absolute target without a path", { target: "http://example.com" }),
  told("a path of two slashes", { target: "//a/b?c" }),
  told("an empty query", { target: "/a?" }),
  told("an escaped query", { target: "/a?n%20m=%C3%A9+x&b=1%2B1" }),
  told("a query with names that come again", { target: "/a?x=1&y=2&x=3&X=4" }),
  told("a query with empty pieces", { target: "/a?&&x=1&=2&y=&z" }),
  told("a query with equals signs", { target: "/a?x=1=2&y==3" }),
  told("a query with a malformed escape", { target: "/a?x=%zz&y=%&z=%41" }),
  told("a query with an escape that is not UTF-8", { target: "/a?x=%ff" }),
  told("a path with odd characters", { target: "/a;b=c/@x/'(y)" }),
  told("a host with a port", field("Host", "example.com:8080")),

  told("an origin", field("Origin", "https://example.com")),
  told("the origin null", field("Origin", "null")),
  told("an empty origin", field("Origin", "")),
  told("version 13 with both origin fields", {
    fields: { Origin: "http://a", "Sec-WebSocket-Origin": "http://b" },
  }),
  told("version 8 with both origin fields", {
    fields: { "Sec-WebSocket-Version": "8", Origin: "http://a", "Sec-WebSocket-Origin": "http://b" },
  }),
  told("version 8 with Origin only", { fields: { "Sec-WebSocket-Version": "8", Origin: "http://a" } }),

  told("protocols in several spellings", protocols("Chat, SUPERchat,foo")),
  told("a protocol with a blank before its comma", protocols("foo , bar")),
  told("protocols in two fields", protocols(["Chat", "Super"])),
  told("a protocol twice", protocols("foo, FOO, foo")),
  told("an empty protocol first", protocols(",foo")),
  told("an empty protocol field", protocols("")),
  told("a protocol that is no token", protocols("a b")),

  told("one extension", extensions("permessage-deflate")),
  told(
    "extensions with parameters",
    extensions('permessage-deflate; client_max_window_bits; server_max_window_bits="10", X-Foo;a=b'),
  ),
  told("an extension in capitals", extensions("X-Foo;A=B")),
  told("a quoted parameter with comma and semicolon", extensions('x;a="1,2;3", y')),
  told("extensions in two fields", extensions(["a;b=1", "c"])),
  told("a parameter with two equals signs", extensions("x;a=b=c")),
  told("an empty extension field", extensions("")),
  told("an extension without parseExtensions", extensions("permessage-deflate"), {
    options: { parseExtensions: false },
  }),

  told("cookies", cookies("a=1; b=2")),
  told("a quoted cookie", cookies('a="q v"')),
  told("an escaped cookie", cookies("a=%41%20%C3%A9")),
  told("a cookie with a malformed escape", cookies("a=%zz; b=2")),
  told("a cookie with an escape that is not UTF-8", cookies("a=%ff")),
  told("a cookie without a value", cookies("a; b=2")),
  told("a cookie with an empty value", cookies("a=; b=2")),
  told("a cookie with equals signs", cookies("a=x=y")),
  told("a cookie with blanks", cookies(" a = 1 ;  b = 2 ")),
  told("a cookie with a comma", cookies("a=1,2")),
  told("a cookie with a quoted semicolon", cookies('a="x;y"; b=2')),
  told("a cookie with one quote", cookies('a="xy; b=2')),
  told("empty pieces between cookies", cookies("a=1;; b=2;")),
  told("a cookie twice", cookies("a=1; a=2")),
  told("cookies in two fields", cookies(["a=1", "b=2"])),
  told("an empty cookie field", cookies("")),
  told("cookies without parseCookies", cookies("a=1"), { options: { parseCookies: false } }),
  told("a malformed cookie without parseCookies", cookies("a=%zz"), { options: { parseCookies: false } }),

  told("one forwarded address", forwarded("203.0.113.7")),
  told("two forwarded addresses", forwarded("203.0.113.7, 198.51.100.2")),
  told("forwarded addresses with blanks before the comma", forwarded("203.0.113.7 , 198.51.100.2")),
  told("forwarded addresses in two fields", forwarded(["203.0.113.7", "198.51.100.2"])),
  told("forwarded junk", forwarded("junk, more junk")),
  told("an empty forwarded field", forwarded("")),
  told("an IPv6 address forwarded", forwarded("2001:db8::1")),
  told("a forwarded address without its field counting", forwarded("203.0.113.7"), {
    options: { ignoreXForwardedFor: true },
  }),
];
