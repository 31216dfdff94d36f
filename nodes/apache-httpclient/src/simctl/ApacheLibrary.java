package simctl;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.concurrent.TimeUnit;
import org.apache.http.HttpEntity;
import org.apache.http.client.config.RequestConfig;
import org.apache.http.client.methods.CloseableHttpResponse;
import org.apache.http.client.methods.HttpUriRequest;
import org.apache.http.client.methods.RequestBuilder;
import org.apache.http.client.protocol.HttpClientContext;
import org.apache.http.config.SocketConfig;
import org.apache.http.conn.ConnectionKeepAliveStrategy;
import org.apache.http.entity.ByteArrayEntity;
import org.apache.http.impl.client.CloseableHttpClient;
import org.apache.http.impl.client.DefaultConnectionKeepAliveStrategy;
import org.apache.http.impl.client.DefaultHttpRequestRetryHandler;
import org.apache.http.impl.client.HttpClientBuilder;
import org.apache.http.impl.client.HttpClients;
import org.apache.http.impl.conn.PoolingHttpClientConnectionManager;
import org.apache.http.util.EntityUtils;

/** Apache HttpClient as it is, a client with a pool for each session. */
final class ApacheLibrary implements Library {
    private final Main.Settings settings;

    ApacheLibrary(Main.Settings settings) {
        this.settings = settings;
    }

    @Override
    public void check(Command command) {
        request(command);
    }

    @Override
    public Session open() {
        long oldest = settings.maxLifetime() == 0 ? -1 : settings.maxLifetime(); // -1: as long as it lives
        PoolingHttpClientConnectionManager pool =
                new PoolingHttpClientConnectionManager(oldest, TimeUnit.MILLISECONDS);
        pool.setDefaultMaxPerRoute(settings.poolMaxSize());
        pool.setMaxTotal(settings.poolTotal());
        pool.setValidateAfterInactivity(settings.validateAfterInactivity());
        pool.setDefaultSocketConfig(
                SocketConfig.custom().setSoKeepAlive(settings.tcpKeepAlive()).build());
        HttpClientBuilder builder = HttpClients.custom()
                .setConnectionManager(pool)
                .setRequestExecutor(new RecordingExecutor())
                .setRetryHandler(new DefaultHttpRequestRetryHandler(settings.retries(), false))
                .setKeepAliveStrategy(keepAlive());
        if (settings.evictIdle() > 0) {
            builder.evictIdleConnections(settings.evictIdle(), TimeUnit.MILLISECONDS);
        }
        return new ApacheSession(builder.build());
    }

    /** Milliseconds, -1 for as long as the connection lives. */
    private ConnectionKeepAliveStrategy keepAlive() {
        ConnectionKeepAliveStrategy announced = DefaultConnectionKeepAliveStrategy.INSTANCE;
        long own = settings.keepAliveExpiry();
        if (own == 0) {
            return announced;
        }
        return (response, context) -> {
            long server = announced.getKeepAliveDuration(response, context);
            return server > 0 ? Math.min(server, own) : own;
        };
    }

    private static HttpUriRequest request(Command command) {
        int timeout = (int) Math.max(1, Math.min(command.timeout().toMillis(), Integer.MAX_VALUE)); // 0 is for ever
        RequestBuilder request = RequestBuilder.create(command.method())
                .setUri(command.url())
                .setConfig(RequestConfig.custom()
                        .setConnectTimeout(timeout)
                        .setSocketTimeout(timeout)
                        .build());
        command.headers().forEach(request::setHeader);
        if (command.body() != null) {
            request.setEntity(new ByteArrayEntity(command.body()));
        }
        return request.build();
    }

    private record ApacheSession(CloseableHttpClient client) implements Session {
        @Override
        public long perform(Call call) throws IOException {
            HttpClientContext context = HttpClientContext.create();
            context.setAttribute(RecordingExecutor.CALL, call);
            try (CloseableHttpResponse response = client.execute(request(call.command()), context)) {
                HttpEntity body = response.getEntity();
                return body == null ? 0 : EntityUtils.toByteArray(body).length;
            }
        }

        @Override
        public void close() {
            try {
                client.close();
            } catch (IOException failed) {
                throw new UncheckedIOException(failed);
            }
        }
    }
}
