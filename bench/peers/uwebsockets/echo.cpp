// uwebsockets-echo - echoes on a free port, which it prints; messages are compressed without takeover, at level 6, which
// uWebSockets has fixed. It is set up as its own example EchoServer.cpp is, apart from the dedicated compressor there.
#include "App.h"

#include <cstdio>

struct Data {};

int main() {
    uWS::App::WebSocketBehavior<Data> behavior;
    behavior.compression = uWS::CompressOptions(uWS::SHARED_COMPRESSOR | uWS::SHARED_DECOMPRESSOR);
    behavior.maxPayloadLength = 1 << 20;
    behavior.maxBackpressure = 16 << 20;
    behavior.message = [](auto *socket, std::string_view message, uWS::OpCode opcode) {
        socket->send(message, opcode, true);
    };
    uWS::App()
        .ws<Data>("/*", std::move(behavior))
        .listen("127.0.0.1", 0, [](auto *socket) {
            if (!socket) {
                std::fputs("no port is free on 127.0.0.1\n", stderr);
                std::exit(1);
            }
            std::printf("127.0.0.1:%d\n", us_socket_local_port(0, (us_socket_t *) socket));
            std::fflush(stdout);
        })
        .run();
}
