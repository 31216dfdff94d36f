package simctl;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;
import org.apache.coyote.ActionCode;
import org.apache.tomcat.util.http.MimeHeaders;

/** The paths of the reference server: /, /bytes/N, /delay/MS, /status/CODE, /echo and /hang. */
final class Answers extends ValveBase {
    private static final int MAX = 1 << 28;

    /** After these Tomcat closes: Http11Processor.statusDropsConnection(). */
    private static final List<Integer> DROPPED = List.of(400, 408, 411, 413, 414, 500, 503, 501);

    private final Connections connections;

    Answers(Connections connections) {
        this.connections = connections;
    }

    @Override
    public void invoke(Request request, Response response) throws IOException {
        Connections.State state = connections.state(request.getServletConnection().getConnectionId());
        int nth = state.next();
        String path = request.getRequestURI();
        String[] parts = path.substring(Math.min(1, path.length())).split("/", 2);
        int number = parts.length == 2 ? number(parts[1]) : -1;
        byte[] body = "simctl tomcat\n".getBytes();
        int status = 200;
        boolean slow = path.equals("/hang") || number >= 0 && parts[0].equals("delay");
        if (number >= 0 && parts[0].equals("bytes")) {
            body = "x".repeat(number).getBytes();
        } else if (path.equals("/echo")) {
            body = request.getInputStream().readAllBytes();
        } else if (number >= 200 && number <= 599 && parts[0].equals("status")) {
            status = number;
            body = status == 204 || status == 304 ? new byte[0] : (status + "\n").getBytes();
        } else if (!path.equals("/") && !slow) {
            status = 404;
            body = "there are /, /hang, /bytes/N, /delay/MS, /status/CODE and /echo\n".getBytes();
        }
        if (slow) { // what Tomcat adds to the headers is not known yet
            tellServed(state, nth, request, number < 0 ? null : status, null);
            pause(number);
        }
        response.setStatus(status);
        response.setContentType("text/plain");
        if (status != 204 && status != 304) {
            response.setContentLength(body.length);
        }
        Map<String, String> headers = completed(response.getCoyoteResponse());
        if ("close".equals(headers.get("Connection"))) {
            state.last(whyLast(request, status));
        }
        if (!slow) {
            tellServed(state, nth, request, status, headers);
        }
        response.getOutputStream().write(body);
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

    private static void tellServed(
            Connections.State state, int nth, Request request, Integer status, Map<String, String> headers) {
        Map<String, Object> fields = new LinkedHashMap<>(state.names());
        String query = request.getQueryString();
        fields.put("method", request.getMethod());
        fields.put("path", request.getRequestURI() + (query == null ? "" : "?" + query));
        fields.put("status", status);
        fields.put("nth", nth);
        fields.put("request_headers", headers(request.getCoyoteRequest().getMimeHeaders()));
        fields.put("response_headers", headers);
        Events.tell("served", fields);
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
