package simctl;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpHeaderValue;
import org.eclipse.jetty.http.HttpVersion;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.handler.AbstractHandler;

/** The paths of the reference server: /, /bytes/N, /delay/MS, /status/CODE and /hang. */
final class Answers extends AbstractHandler {
    private static final int MAX = 1 << 28;
    private final int limit;

    /** `limit`: requests per connection, 0 for as many as the client likes. */
    Answers(int limit) {
        this.limit = limit;
    }

    @Override
    public void handle(String target, Request base, HttpServletRequest request, HttpServletResponse response)
            throws IOException {
        base.setHandled(true);
        Wire wire = (Wire) base.getHttpChannel().getEndPoint();
        int nth = wire.next();
        String[] parts = target.substring(1).split("/", 2);
        int number = parts.length == 2 ? number(parts[1]) : -1;
        byte[] body = "simctl jetty\n".getBytes();
        int status = 200;
        if (number >= 0 && parts[0].equals("bytes")) {
            body = "x".repeat(number).getBytes();
        } else if (number >= 200 && number <= 599 && parts[0].equals("status")) {
            status = number;
            body = status == 204 || status == 304 ? new byte[0] : (status + "\n").getBytes();
        } else if (!target.equals("/") && !target.equals("/hang") && !(number >= 0 && parts[0].equals("delay"))) {
            status = 404;
            body = "there are /, /hang, /bytes/N, /delay/MS and /status/CODE\n".getBytes();
        }
        response.setStatus(status);
        // Jetty adds it while it writes; said here, so that the event has what goes out.
        response.setHeader("Server", HttpConfiguration.SERVER_VERSION);
        response.setContentType("text/plain");
        String last = whyLast(base, nth);
        // Without a length the end of the last answer is the FIN. With one, a client that reads `Connection: close` has
        // all it wants before Jetty's shutdownOutput(), and now and then it is the first to close: 3 of 10 here.
        if (last == null && status != 204 && status != 304) {
            response.setContentLength(body.length);
        }
        if (last != null) {
            wire.last(last);
            response.setHeader("Connection", "close");
        }
        boolean hang = target.equals("/hang");
        tellServed(wire, nth, base, hang ? null : status);
        if (hang) {
            pause(-1);
        }
        if (parts[0].equals("delay")) {
            pause(number);
        }
        response.getOutputStream().write(body);
        if (last != null) {
            response.flushBuffer(); // or Jetty counts what it has and sets a length
        }
    }

    /** Why the connection closes after this request, or null. RFC 9112 section 9.3. */
    private String whyLast(Request base, int nth) {
        HttpFields fields = base.getHttpFields();
        boolean keeps = base.getHttpVersion() == HttpVersion.HTTP_1_1
                || fields.contains(HttpHeader.CONNECTION, HttpHeaderValue.KEEP_ALIVE.asString());
        if (!keeps || fields.contains(HttpHeader.CONNECTION, HttpHeaderValue.CLOSE.asString())) {
            return "request";
        }
        return limit > 0 && nth >= limit ? "limit" : null;
    }

    private static void tellServed(Wire wire, int nth, Request base, Integer status) {
        Map<String, Object> fields = new LinkedHashMap<>(wire.names());
        fields.put("method", base.getMethod());
        fields.put("path", base.getHttpURI().getPathQuery());
        fields.put("status", status);
        fields.put("nth", nth);
        fields.put("request_headers", joined(base.getHttpFields()));
        fields.put("response_headers", status == null ? null : joined(base.getResponse().getHttpFields()));
        Events.tell("served", fields);
    }

    /** A repeated header has its values joined, as RFC 9110 section 5.3 allows. */
    private static Map<String, String> joined(HttpFields fields) {
        Map<String, String> headers = new LinkedHashMap<>();
        for (HttpField field : fields) {
            headers.merge(field.getName(), field.getValue() == null ? "" : field.getValue(), (a, b) -> a + ", " + b);
        }
        return headers;
    }

    /** Negative: for ever, as a handler that is stuck. */
    private static void pause(int milliseconds) throws IOException {
        try {
            if (milliseconds < 0) {
                new CountDownLatch(1).await();
            }
            Thread.sleep(milliseconds);
        } catch (InterruptedException stopped) {
            throw new IOException("the server stops", stopped);
        }
    }

    private static int number(String text) {
        boolean digits = !text.isEmpty() && text.length() < 10 && text.chars().allMatch(c -> c >= '0' && c <= '9');
        int number = digits ? Integer.parseInt(text) : -1;
        return number <= MAX ? number : -1;
    }
}
