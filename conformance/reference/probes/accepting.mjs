// Accepting: protocols, origins, cookies.

import { accept, answer, state } from "../program.mjs";

const offer = (value) => ({ fields: { "Sec-WebSocket-Protocol": value } });
const accepts = (name, how, request = {}, more = {}) =>
  answer(`accept: ${name}`, request, { program: { request: [accept(how)], connect: [state] }, ...more });
const protocol = (name, offered, chosen, more) =>
  accepts(name, { protocol: chosen }, offered === null ? {} : offer(offered), more);
const origin = (name, given, fields = {}, more = {}) => accepts(name, { origin: given }, { fields }, more);
const cookie = (name, ...cookies) => accepts(`cookie: ${name}`, { cookies });
const one = (name, attributes) => cookie(name, { name: "id", value: "42", ...attributes });
const V8 = { "Sec-WebSocket-Version": "8" };

export const accepting = [
  protocol("a protocol", "chat", "chat"),
  protocol("the second protocol", "chat, superchat", "superchat"),
  protocol("a protocol in the client's spelling, which has capitals", "Chat", "Chat"),
  protocol("a protocol in lower case, where the client's has capitals", "Chat", "chat"),
  protocol("a protocol in capitals, where the client's has none", "chat", "CHAT"),
  protocol("a protocol that was not offered", "chat", "other"),
  protocol("a protocol where none was offered", null, "chat"),
  protocol("a protocol with a blank", "chat", "ch at"),
  protocol("a protocol with a comma", "chat", "a,b"),
  protocol("a protocol with a line end", "chat", "chat\r\nX-A: b"),
  protocol("a protocol with a character beyond ASCII", "chat", "chät"),
  protocol("no protocol, where some were offered", "chat", undefined),
  protocol("an empty protocol", "chat", ""),
  protocol("a protocol from a second field", ["chat", "super"], "super"),
  protocol("a protocol offered in two spellings", "Foo, FOO", "foo"),
  protocol("a protocol called constructor", "constructor", "constructor"),
  protocol("a protocol called __proto__", "__proto__", "__proto__"),
  protocol("a protocol that was not offered, called constructor", "chat", "constructor"),

  origin("an origin", "https://example.com"),
  origin("an origin in version 8", "https://example.com", V8),
  origin("the client's origin", "http://a", { Origin: "http://a" }),
  origin("an origin that is not the client's", "http://b", { Origin: "http://a" }),
  origin("no origin, where the client has one", undefined, { Origin: "http://a" }),
  origin("an empty origin", ""),
  origin("an origin with a line end", "http://a\r\nX-Injected: 1"),
  origin("an origin with a control character", "http://a\u0001b"),
  origin("an origin beyond ASCII", "http://ä"),
  origin("an origin beyond Latin-1", "http://€"),

  cookie("none in the list"),
  one("name and value", {}),
  one("path", { path: "/p" }),
  one("domain", { domain: "Example.COM" }),
  one("expires", { expires: 0 }),
  one("expires with a fraction of a second", { expires: 1_700_000_000_999 }),
  one("maxage", { maxage: 60 }),
  one("maxage with a fraction", { maxage: 1.5 }),
  one("maxage below half a second", { maxage: 0.2 }),
  one("maxage 0", { maxage: 0 }),
  one("maxage below 0", { maxage: -1 }),
  one("secure", { secure: true }),
  one("httponly", { httponly: true }),
  one("all attributes", { path: "/", domain: "a.b", expires: 0, maxage: 5, secure: true, httponly: true }),
  cookie("two", { name: "a", value: "1" }, { name: "b", value: "2" }),
  cookie("the same name twice", { name: "a", value: "1" }, { name: "a", value: "2" }),
  cookie("the same name in two spellings", { name: "a", value: "1" }, { name: "A", value: "2" }),
  cookie("called constructor", { name: "constructor", value: "1" }),
  cookie("no name", { name: "", value: "1" }),
  cookie("no value", { name: "a", value: "" }),
  cookie("a name with a separator", { name: "a=b", value: "1" }),
  cookie("a name with a blank", { name: "a b", value: "1" }),
  cookie("a name beyond ASCII", { name: "ä", value: "1" }),
  cookie("a value in quotes", { name: "a", value: '"1"' }),
  cookie("a value with one quote", { name: "a", value: '"1' }),
  cookie("a value with a comma", { name: "a", value: "1,2" }),
  cookie("a value with a blank", { name: "a", value: "1 2" }),
  cookie("a value with a semicolon", { name: "a", value: "1;2" }),
  cookie("a value with a backslash", { name: "a", value: "1\\2" }),
  cookie("a value with a line end", { name: "a", value: "1\r\nX-A: b" }),
  cookie("a value beyond ASCII", { name: "a", value: "ä" }),
  one("a path with a semicolon", { path: "/;x" }),
  one("a path with a line end", { path: "/\r\nX-A: b" }),
  one("a path with a blank", { path: "/a b" }),
  one("an empty path", { path: "" }),
  one("a domain with a semicolon", { domain: "a;b" }),
  one("a domain with a blank", { domain: "a b" }),
  accepts(
    "protocol, origin and cookie together",
    { protocol: "chat", origin: "http://a", cookies: [{ name: "a", value: "1" }] },
    offer("Chat"),
  ),
  accepts(
    "a good protocol with a bad cookie",
    { protocol: "chat", cookies: [{ name: "a", value: "," }] },
    offer("chat"),
  ),

  answer("auto-accept: no protocol, no origin", {}, auto()),
  answer("auto-accept: the first protocol", offer("Chat, other"), auto()),
  answer("auto-accept: the client's origin", { fields: { Origin: "http://a" } }, auto()),
  answer(
    "auto-accept: the client's origin in version 8",
    { fields: { ...V8, "Sec-WebSocket-Origin": "http://a" } },
    auto(),
  ),
  answer("auto-accept: any path", { target: "/any/path?x" }, auto()),
  answer("auto-accept: an offer with a blank before its comma", offer("foo , bar"), auto()),
  answer("auto-accept: an offer that is no token", offer("a b"), auto()),
  answer("auto-accept: an invalid handshake", { fields: { "Sec-WebSocket-Key": null } }, auto()),
  answer("no handler for requests", {}, { handled: false }),
  answer(
    "no handler for requests, and a bad handshake",
    { fields: { "Sec-WebSocket-Version": "7" } },
    { handled: false },
  ),
  answer("no handler for requests, and auto-accept", {}, { handled: false, options: { autoAcceptConnections: true } }),
];

function auto() {
  return { program: {}, options: { autoAcceptConnections: true } };
}
