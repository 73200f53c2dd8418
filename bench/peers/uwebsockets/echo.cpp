// uwebsockets, or uwebsockets-tls where it is built with OpenSSL; what it is told is in ../README.md. It is set up as
// uWebSockets' own example EchoServer.cpp is, apart from the dedicated compressor there.
#include "App.h"

#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#ifdef LIBUS_USE_OPENSSL
constexpr bool HAS_TLS = true;
#else
constexpr bool HAS_TLS = false;
#endif
using App = uWS::TemplatedApp<HAS_TLS>;

struct Data {};

struct Options {
    bool broadcast = false;
    bool publish = false;
    bool deflate = false;
    uWS::SocketContextOptions tls;
};

[[noreturn]] void stop(int status, const char *why) {
    std::fprintf(stderr, "%s\n", why);
    std::exit(status);
}

[[noreturn]] void not_possible(const char *why) {
    stop(3, why);
}

Options arguments(int count, char **given) {
    const char *usage = "usage: uwebsockets [echo|batched|broadcast|publish] [--deflate] [--level N] [--tls CERT.pem KEY.pem]";
    Options options;
    for (int at = 1; at < count; at++) {
        std::string_view argument = given[at];
        if (argument == "batched") {
            not_possible("it batches by itself");
        } else if (argument == "broadcast") {
            options.broadcast = true;
        } else if (argument == "publish") {
            options.publish = true;
        } else if (argument == "--deflate") {
            options.deflate = true;
        } else if (argument == "--level" && at + 1 < count) {
            if (std::strcmp(given[++at], "6") != 0) not_possible("its level of compression is always 6");
        } else if (argument == "--tls" && at + 2 < count) {
            options.tls.cert_file_name = given[++at];
            options.tls.key_file_name = given[++at];
        } else if (argument != "echo") {
            stop(2, usage);
        }
    }
    if (!HAS_TLS && options.tls.key_file_name) not_possible("it is built without TLS: uwebsockets-tls has it");
    if (HAS_TLS && !options.tls.key_file_name) stop(2, usage);
    return options;
}

int main(int count, char **given) {
    Options options = arguments(count, given);
    bool compress = options.deflate;

    App app(options.tls);
    // Without a context for TLS there is no listening to say so.
    if (app.constructorFailed()) stop(1, "the certificate or the key cannot be read");

    App::WebSocketBehavior<Data> behavior;
    behavior.compression = compress ? uWS::CompressOptions(uWS::SHARED_COMPRESSOR | uWS::SHARED_DECOMPRESSOR) : uWS::DISABLED;
    behavior.maxPayloadLength = 16 << 20;
    behavior.maxBackpressure = 64 << 20;
    if (options.broadcast) {
        behavior.open = [](auto *socket) { socket->subscribe("all"); };
        behavior.message = [&app, compress](auto *, std::string_view message, uWS::OpCode opcode) {
            app.publish("all", message, opcode, compress);
        };
    } else if (options.publish) {
        behavior.open = [](auto *socket) { socket->subscribe("t"); };
        behavior.message = [compress](auto *socket, std::string_view message, uWS::OpCode opcode) {
            // To all but itself.
            socket->publish("t", message, opcode, compress);
        };
    } else {
        behavior.message = [compress](auto *socket, std::string_view message, uWS::OpCode opcode) {
            socket->send(message, opcode, compress);
        };
    }
    app.ws<Data>("/*", std::move(behavior)).listen("127.0.0.1", 0, [](auto *socket) {
        if (!socket) stop(1, "no port is free on 127.0.0.1");
        // uSockets listens with a backlog of 512, too short for thousands that connect at once; Linux lets it be changed.
        listen(us_poll_fd((us_poll_t *) socket), 4096);
        std::printf("127.0.0.1:%d\n", us_socket_local_port(HAS_TLS, (us_socket_t *) socket));
        std::fflush(stdout);
    });
    app.run();
}
