package simctl;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
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

/** Responds as Content says, and reports each request. */
final class Responses extends AbstractHandler {
    private final int limit;

    /** `limit`: requests per connection, 0 for as many as the client likes. */
    Responses(int limit) {
        this.limit = limit;
    }

    @Override
    public void handle(String target, Request base, HttpServletRequest request, HttpServletResponse response)
            throws IOException {
        base.setHandled(true);
        Wire wire = (Wire) base.getHttpChannel().getEndPoint();
        int nth = wire.next();
        Content content = Content.of(target, "simctl jetty\n", request.getInputStream()::readAllBytes);
        response.setStatus(content.status());
        // Jetty adds it while it writes; said here, so that the event has what goes out.
        response.setHeader("Server", HttpConfiguration.SERVER_VERSION);
        response.setContentType("text/plain");
        String last = whyLast(base, nth);
        // Without a length the end of the last response is the FIN. With one, a client that reads `Connection: close` has
        // all it wants before Jetty's shutdownOutput(), and now and then it is the first to close: 3 of 10 here.
        if (last == null && content.hasLength()) {
            response.setContentLength(content.body().length);
        }
        if (last != null) {
            wire.last(last);
            response.setHeader("Connection", "close");
        }
        reportServed(wire, nth, base, content.reported());
        content.await();
        response.getOutputStream().write(content.body());
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

    private static void reportServed(Wire wire, int nth, Request base, Integer status) {
        Map<String, Object> fields = new LinkedHashMap<>(wire.names());
        fields.put("method", base.getMethod());
        fields.put("path", base.getHttpURI().getPathQuery());
        fields.put("status", status);
        fields.put("nth", nth);
        fields.put("request_headers", joined(base.getHttpFields()));
        fields.put("response_headers", status == null ? null : joined(base.getResponse().getHttpFields()));
        Events.emit("served", fields);
    }

    /** A repeated header has its values joined, as RFC 9110 section 5.3 allows. */
    private static Map<String, String> joined(HttpFields fields) {
        Map<String, String> headers = new LinkedHashMap<>();
        for (HttpField field : fields) {
            headers.merge(field.getName(), field.getValue() == null ? "" : field.getValue(), (a, b) -> a + ", " + b);
        }
        return headers;
    }
}
