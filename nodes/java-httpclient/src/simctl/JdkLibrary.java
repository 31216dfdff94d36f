package simctl;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

/** HttpClient of the JDK as it is, a client for each session, held to HTTP/1.1 and without a proxy. */
final class JdkLibrary implements Library {
    @Override
    public void check(Command command) {
        request(command);
    }

    @Override
    public Session open() {
        HttpClient client = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .proxy(HttpClient.Builder.NO_PROXY)
                .executor(Context.EXECUTOR)
                .build();
        return new JdkSession(client);
    }

    /**
     * An HttpClient of JDK 17 has no close(): it ends when the garbage collector has found that nobody refers to it.
     * Here the collector is made to look; the client's thread sees it within three seconds, and only then are the
     * connections closed.
     */
    @Override
    public void closed() {
        System.gc();
    }

    private static HttpRequest request(Command command) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(command.url())).timeout(command.timeout());
        byte[] body = command.body();
        request.method(command.method(), body == null ? BodyPublishers.noBody() : BodyPublishers.ofByteArray(body));
        if (body == null && command.method().equals("GET")) {
            request.GET(); // which sends no Content-Length
        }
        command.headers().forEach(request::setHeader);
        return request.build();
    }

    private static final class JdkSession implements Session {
        private HttpClient client;

        JdkSession(HttpClient client) {
            this.client = client;
        }

        @Override
        public long perform(Call call) throws Exception {
            HttpRequest request = request(call.command());
            Context.set(call);
            try {
                return client.send(request, BodyHandlers.ofByteArray()).body().length;
            } finally {
                Context.set(null);
            }
        }

        @Override
        public void close() {
            client = null;
        }
    }
}
