package simctl;

import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.WeakHashMap;
import okhttp3.Connection;
import okhttp3.EventListener;
import okhttp3.Headers;
import okhttp3.Response;

/** What a request carries with it, to tell its exchanges to the call that it belongs to. */
final class Recording {
    private final Call call;
    private volatile Exchange current;

    Recording(Call call) {
        this.call = call;
    }

    private static Map<String, String> headers(Headers fields) {
        Map<String, String> headers = new LinkedHashMap<>();
        for (int number = 0; number < fields.size(); number++) {
            Exchange.addHeader(headers, fields.name(number), fields.value(number));
        }
        return headers;
    }

    private static String text(InetAddress address, int port) {
        return address.getHostAddress() + ":" + port;
    }

    /** Stands around each request on a connection, also a repeated one. */
    static final class Interceptor implements okhttp3.Interceptor {
        private final Map<Connection, Integer> requests = new WeakHashMap<>();

        @Override
        public Response intercept(Chain chain) throws IOException {
            Recording recording = chain.request().tag(Recording.class);
            Socket socket = chain.connection().socket();
            Exchange exchange = new Exchange(
                    text(socket.getLocalAddress(), socket.getLocalPort()),
                    text(socket.getInetAddress(), socket.getPort()),
                    number(chain.connection()),
                    headers(chain.request().headers()));
            recording.call.add(exchange);
            recording.current = exchange;
            exchange.sending(true);
            try {
                Response response = chain.proceed(chain.request());
                exchange.responded(response.code(), headers(response.headers()));
                return response;
            } catch (IOException | RuntimeException failed) {
                exchange.failed(failed);
                throw failed;
            }
        }

        private int number(Connection connection) {
            synchronized (requests) {
                return requests.merge(connection, 1, Integer::sum);
            }
        }
    }

    /** Knows when a request has gone out. */
    static final class Listener extends EventListener {
        private final Recording recording;

        Listener(Recording recording) {
            this.recording = recording;
        }

        @Override
        public void responseHeadersStart(okhttp3.Call call) {
            Exchange current = recording.current;
            if (current != null) {
                current.sending(false);
            }
        }
    }
}
