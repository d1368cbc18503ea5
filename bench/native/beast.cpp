// A Boost.Beast client and an echo server, as a reference for what C++ needs.
//
//   beast serve    print the port, send each message back, end with standard input
//   beast client   obey the commands of clients/beast.py on standard input
//
// The client blocks, which is the cheapest way; the server runs on one io_context.
// Messages are built and compared by the program that gives the commands.

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/version.hpp>
#include <boost/beast/websocket.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <string>

namespace net = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using tcp = net::ip::tcp;
using Stream = websocket::stream<tcp::socket>;

// No limit on sizes and one frame a message, as everyone has it here.
// Beast masks and writes in steps of this buffer; its default is 4 KiB.
void prepare(Stream& ws)
{
    ws.read_message_max(0);
    ws.auto_fragment(false);
    ws.write_buffer_bytes(64 * 1024);
    ws.next_layer().set_option(tcp::no_delay(true));
}

struct Session : std::enable_shared_from_this<Session> {
    Stream ws;
    beast::flat_buffer buffer;

    explicit Session(tcp::socket socket) : ws(std::move(socket)) { prepare(ws); }

    void start()
    {
        ws.async_accept([self = shared_from_this()](beast::error_code error) {
            if (!error) self->read();
        });
    }

    void read()
    {
        ws.async_read(
            buffer, [self = shared_from_this()](beast::error_code error, size_t) {
                if (!error) self->write();
            });
    }

    void write()
    {
        ws.text(ws.got_text());
        ws.async_write(
            buffer.data(),
            [self = shared_from_this()](beast::error_code error, size_t) {
                self->buffer.consume(self->buffer.size());
                if (!error) self->read();
            });
    }
};

void accept(tcp::acceptor& acceptor)
{
    acceptor.async_accept([&](beast::error_code error, tcp::socket socket) {
        if (!error) std::make_shared<Session>(std::move(socket))->start();
        accept(acceptor);
    });
}

int serve()
{
    net::io_context context{1};
    tcp::acceptor acceptor{context, {net::ip::address_v4::loopback(), 0}};
    accept(acceptor);
    std::cout << acceptor.local_endpoint().port() << std::endl;
    net::posix::stream_descriptor input{context, ::dup(0)};
    char byte;
    input.async_read_some(net::buffer(&byte, 1), [](beast::error_code, size_t) {
        std::exit(0);
    });
    context.run();
    return 0;
}

class Client {
    net::io_context context{1};
    std::map<int, std::unique_ptr<Stream>> streams;
    beast::flat_buffer buffer;
    int opened = 0;

    std::string content(size_t size)
    {
        std::string data(size, '\0');
        std::cin.read(data.data(), size);
        return data;
    }

    void next(Stream& ws)
    {
        buffer.consume(buffer.size());
        ws.read(buffer);
    }

    void tell(Stream& ws)
    {
        std::cout << (ws.got_text() ? "text " : "binary ") << buffer.size() << '\n';
        std::cout.write(static_cast<char*>(buffer.data().data()), buffer.size());
        std::cout.flush();
    }

    void open(unsigned short port, bool deflate)
    {
        auto ws = std::make_unique<Stream>(context);
        ws->next_layer().connect({net::ip::address_v4::loopback(), port});
        prepare(*ws);
        websocket::permessage_deflate compression;
        compression.client_enable = deflate;
        ws->set_option(compression);
        ws->handshake("127.0.0.1:" + std::to_string(port), "/");
        streams[opened++] = std::move(ws);
        std::cout << "ok" << std::endl;
    }

    void exchange(Stream& ws, bool answered)
    {
        size_t count, size;
        std::string kind;
        std::cin >> count >> kind >> size;
        std::cin.get();
        const std::string message = content(size);
        ws.text(kind == "text");
        for (size_t i = 0; i < count; ++i) {
            ws.write(net::buffer(message));
            if (answered) next(ws);
        }
        if (answered)
            tell(ws);
        else
            std::cout << "ok" << std::endl;
    }

    void receive(Stream& ws, bool all)
    {
        size_t count;
        std::cin >> count;
        for (size_t i = 0; i < count; ++i) {
            next(ws);
            if (all) tell(ws);
        }
        if (!all) tell(ws);
    }

public:
    int obey()
    {
        std::string command;
        int number;
        while (std::cin >> command >> number) {
            if (command == "open") {
                bool deflate;
                std::cin >> deflate;
                open(number, deflate);
                continue;
            }
            Stream& ws = *streams.at(number);
            if (command == "collect") receive(ws, true);
            else if (command == "receive") receive(ws, false);
            else if (command == "send") exchange(ws, false);
            else if (command == "echo") exchange(ws, true);
            else if (command == "close") {
                ws.close(websocket::close_code::normal);
                streams.erase(number);
                std::cout << "ok" << std::endl;
            }
        }
        return 0;
    }
};

int main(int count, char** arguments)
{
    std::ios::sync_with_stdio(false);
    const std::string role = count > 1 ? arguments[1] : "";
    try {
        if (role == "serve") return serve();
        if (role == "client") return Client().obey();
        std::cout << BOOST_BEAST_VERSION_STRING << std::endl;
        return 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << std::endl;
        return 1;
    }
}
