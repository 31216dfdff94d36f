package simctl;

import java.io.EOFException;
import java.io.IOException;
import java.net.ProtocolException;
import java.util.concurrent.TimeUnit;
import okhttp3.ConnectionPool;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;
import okhttp3.ResponseBody;
import okhttp3.internal.http.HttpMethod;

/** OkHttp as it is, a client with a pool for each session. */
final class OkHttpLibrary implements Library {
    private static final String CUT_SHORT = "unexpected end of stream";

    private final Main.Settings settings;

    OkHttpLibrary(Main.Settings settings) {
        this.settings = settings;
    }

    @Override
    public void check(Command command) {
        request(command).build();
    }

    @Override
    public Session open() {
        Recording.Interceptor recording = new Recording.Interceptor();
        return new OkHttpSession(new OkHttpClient.Builder()
                .connectionPool(new ConnectionPool(
                        settings.poolMaxSize(), settings.keepAliveExpiry(), TimeUnit.MILLISECONDS))
                .retryOnConnectionFailure(settings.retries())
                .addNetworkInterceptor(recording)
                .eventListenerFactory(call -> new Recording.Listener(call.request().tag(Recording.class)))
                .build());
    }

    private static Request.Builder request(Command command) {
        byte[] content = command.body();
        if (content == null && HttpMethod.requiresRequestBody(command.method())) {
            content = new byte[0];
        }
        Request.Builder request = new Request.Builder()
                .url(command.url())
                .method(command.method(), content == null ? null : RequestBody.create(null, content));
        command.headers().forEach(request::header);
        return request;
    }

    private record OkHttpSession(OkHttpClient client) implements Session {
        @Override
        public long perform(Call call) throws IOException {
            long timeout = Math.max(1, call.command().timeout().toMillis()); // 0 is for ever
            Request request = request(call.command())
                    .tag(Recording.class, new Recording(call))
                    .build();
            // Shares the pool.
            OkHttpClient timed = client.newBuilder()
                    .connectTimeout(timeout, TimeUnit.MILLISECONDS)
                    .readTimeout(timeout, TimeUnit.MILLISECONDS)
                    .writeTimeout(timeout, TimeUnit.MILLISECONDS)
                    .build();
            try (Response response = timed.newCall(request).execute();
                    ResponseBody body = response.body()) {
                return body.bytes().length;
            } catch (ProtocolException wrong) {
                if (!CUT_SHORT.equals(wrong.getMessage())) {
                    throw wrong;
                }
                EOFException end = new EOFException(wrong.getMessage());
                end.initCause(wrong);
                throw end;
            }
        }

        @Override
        public void close() {
            client.dispatcher().executorService().shutdown();
            client.connectionPool().evictAll();
        }
    }
}
