package simctl;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;
import org.apache.coyote.ActionCode;
import org.apache.tomcat.util.http.MimeHeaders;

/** Responds as Content says, and reports each request. */
final class Responses extends ValveBase {

    /** After these Tomcat closes: Http11Processor.statusDropsConnection(). */
    private static final List<Integer> DROPPED = List.of(400, 408, 411, 413, 414, 500, 503, 501);

    private final Connections connections;

    Responses(Connections connections) {
        this.connections = connections;
    }

    @Override
    public void invoke(Request request, Response response) throws IOException {
        Connections.State state = connections.state(request.getServletConnection().getConnectionId());
        int nth = state.next();
        Content content =
                Content.of(request.getRequestURI(), "simctl tomcat\n", request.getInputStream()::readAllBytes);
        boolean slow = content.delay() != 0;
        if (slow) { // what Tomcat adds to the headers is not known yet
            reportServed(state, nth, request, content.reported(), null);
            content.await();
        }
        response.setStatus(content.status());
        response.setContentType("text/plain");
        if (content.hasLength()) {
            response.setContentLength(content.body().length);
        }
        Map<String, String> headers = completed(response.getCoyoteResponse());
        if ("close".equals(headers.get("Connection"))) {
            state.last(whyLast(request, content.status()));
        }
        if (!slow) {
            reportServed(state, nth, request, content.status(), headers);
        }
        response.getOutputStream().write(content.body());
        response.finishResponse(); // else Tomcat writes it when this method is over
        state.answered(content.status(), nth);
    }

    /** Why Tomcat closes the connection after this request. */
    private static String whyLast(Request request, int status) {
        String wish = String.valueOf(request.getHeader("Connection")).toLowerCase();
        boolean modern = request.getProtocol().equals("HTTP/1.1");
        boolean keeps = modern ? !wish.contains("close") : wish.contains("keep-alive");
        if (!keeps) {
            return "request";
        }
        return DROPPED.contains(status) ? "error" : "limit";
    }

    private static void reportServed(
            Connections.State state, int nth, Request request, Integer status, Map<String, String> headers) {
        Map<String, Object> fields = new LinkedHashMap<>(state.names());
        String query = request.getQueryString();
        fields.put("method", request.getMethod());
        fields.put("path", request.getRequestURI() + (query == null ? "" : "?" + query));
        fields.put("status", status);
        fields.put("nth", nth);
        fields.put("request_headers", headers(request.getCoyoteRequest().getMimeHeaders()));
        fields.put("response_headers", headers);
        Events.emit("served", fields);
    }

    /** All headers, with those that Tomcat adds. They wait in its buffer and leave with what is written next. */
    private static Map<String, String> completed(org.apache.coyote.Response response) {
        response.action(ActionCode.COMMIT, response);
        response.setCommitted(true);
        return headers(response.getMimeHeaders());
    }

    private static Map<String, String> headers(MimeHeaders fields) {
        Map<String, String> headers = new LinkedHashMap<>();
        for (int number = 0; number < fields.size(); number++) {
            headers.merge(
                    fields.getName(number).toString(),
                    fields.getValue(number).toString(),
                    (one, other) -> one + ", " + other);
        }
        return headers;
    }
}
