package simctl;

import java.io.IOException;
import java.util.concurrent.CountDownLatch;

/**
 * What the servers in Java respond: a path in, a status and a body out. /, /bytes/N, /delay/MS, /status/CODE, /echo and
 * /hang; 404 elsewhere. `delay` in milliseconds; NEVER: there is no response.
 */
record Content(int status, byte[] body, int delay) {
    static final int NEVER = -1;

    private static final int MOST = 1 << 28;

    /** Reads the body of a request. */
    interface Body {
        byte[] read() throws IOException;
    }

    /** The response to a request for `path`, which has no query. `greeting` stands at /. */
    static Content of(String path, String greeting, Body body) throws IOException {
        String[] parts = path.substring(Math.min(1, path.length())).split("/", 2);
        int number = parts.length == 2 ? number(parts[1]) : -1;
        if (path.equals("/") || path.equals("/hang")) {
            return new Content(200, greeting.getBytes(), path.equals("/") ? 0 : NEVER);
        }
        if (path.equals("/echo")) {
            return new Content(200, body.read(), 0);
        }
        if (number >= 0 && parts[0].equals("bytes")) {
            return new Content(200, "x".repeat(number).getBytes(), 0);
        }
        if (number >= 0 && parts[0].equals("delay")) {
            return new Content(200, greeting.getBytes(), number);
        }
        if (number >= 200 && number <= 599 && parts[0].equals("status")) {
            return new Content(number, hasNone(number) ? new byte[0] : (number + "\n").getBytes(), 0);
        }
        return new Content(404, "there are /, /hang, /bytes/N, /delay/MS, /status/CODE and /echo\n".getBytes(), 0);
    }

    /** RFC 9112 section 6: no length where there can be no body. */
    boolean hasLength() {
        return !hasNone(status);
    }

    /** What is reported of it: null when there is no response, ever. */
    Integer reported() {
        return delay == NEVER ? null : status;
    }

    /** Until it is time to respond; for ever, as a handler that is stuck, when there is no response. */
    void await() throws IOException {
        try {
            if (delay == NEVER) {
                new CountDownLatch(1).await();
            }
            Thread.sleep(delay);
        } catch (InterruptedException stopped) {
            throw new IOException("the server stops", stopped);
        }
    }

    private static boolean hasNone(int status) {
        return status == 204 || status == 304;
    }

    private static int number(String text) {
        boolean digits = !text.isEmpty() && text.length() < 10 && text.chars().allMatch(c -> c >= '0' && c <= '9');
        int number = digits ? Integer.parseInt(text) : -1;
        return number <= MOST ? number : -1;
    }
}
