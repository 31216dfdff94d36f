package simctl;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.SocketTimeoutException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.http.Header;
import org.apache.http.HttpClientConnection;
import org.apache.http.HttpException;
import org.apache.http.HttpInetConnection;
import org.apache.http.HttpRequest;
import org.apache.http.HttpResponse;
import org.apache.http.protocol.HttpContext;
import org.apache.http.protocol.HttpRequestExecutor;

/** The library's own executor of one request on one connection, which reports it to the call. */
final class RecordingExecutor extends HttpRequestExecutor {
    static final String CALL = "simctl.call";
    private static final String EXCHANGE = "simctl.exchange";
    private static final ScheduledExecutorService TIMER = Executors.newSingleThreadScheduledExecutor(work -> {
        Thread thread = new Thread(work);
        thread.setDaemon(true);
        return thread;
    });

    @Override
    public HttpResponse execute(HttpRequest request, HttpClientConnection connection, HttpContext context)
            throws IOException, HttpException {
        HttpInetConnection internet = (HttpInetConnection) connection;
        Exchange exchange = new Exchange(
                text(internet.getLocalAddress(), internet.getLocalPort()),
                text(internet.getRemoteAddress(), internet.getRemotePort()),
                (int) connection.getMetrics().getRequestCount() + 1,
                headers(request.getAllHeaders()));
        ((Call) context.getAttribute(CALL)).add(exchange);
        context.setAttribute(EXCHANGE, exchange);
        try {
            HttpResponse response = super.execute(request, connection, context);
            exchange.responded(response.getStatusLine().getStatusCode(), headers(response.getAllHeaders()));
            return response;
        } catch (IOException | HttpException | RuntimeException failed) {
            exchange.failed(failed);
            throw failed;
        }
    }

    /**
     * The library has no timer for sending: its caller would wait for as long as the server lives. As callers do, the
     * connection is shut down when the time of the command is over.
     */
    @Override
    protected HttpResponse doSendRequest(HttpRequest request, HttpClientConnection connection, HttpContext context)
            throws IOException, HttpException {
        Exchange exchange = (Exchange) context.getAttribute(EXCHANGE);
        long timeout = ((Call) context.getAttribute(CALL)).command().timeout().toMillis();
        AtomicBoolean late = new AtomicBoolean();
        ScheduledFuture<?> limit = TIMER.schedule(() -> shutDown(connection, late), timeout, TimeUnit.MILLISECONDS);
        exchange.sending(true);
        try {
            HttpResponse response = super.doSendRequest(request, connection, context);
            exchange.sending(false);
            return response;
        } catch (IOException failed) {
            if (!late.get()) {
                exchange.sending(false);
                throw failed;
            }
            SocketTimeoutException error = new SocketTimeoutException("sending timed out");
            error.initCause(failed);
            throw error;
        } finally {
            limit.cancel(false);
        }
    }

    private static void shutDown(HttpClientConnection connection, AtomicBoolean late) {
        late.set(true);
        try {
            connection.shutdown();
        } catch (IOException failed) {
            throw new UncheckedIOException(failed);
        }
    }

    private static Map<String, String> headers(Header[] fields) {
        Map<String, String> headers = new LinkedHashMap<>();
        for (Header field : fields) {
            Exchange.addHeader(headers, field.getName(), field.getValue() == null ? "" : field.getValue());
        }
        return headers;
    }

    private static String text(InetAddress address, int port) {
        return address.getHostAddress() + ":" + port;
    }
}
