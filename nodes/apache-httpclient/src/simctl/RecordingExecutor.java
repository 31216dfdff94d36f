package simctl;

import java.io.IOException;
import java.net.InetAddress;
import java.util.LinkedHashMap;
import java.util.Map;
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
        try {
            HttpResponse response = super.execute(request, connection, context);
            exchange.responded(response.getStatusLine().getStatusCode(), headers(response.getAllHeaders()));
            return response;
        } catch (IOException | HttpException | RuntimeException failed) {
            exchange.failed(failed);
            throw failed;
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
