package simctl;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One call of the library: what was requested, and the exchanges that came of it, one or several. */
final class Call {
    private final Command command;
    private final int n;
    private final long requested = System.nanoTime();
    private final List<Exchange> exchanges = new ArrayList<>();
    private Throwable unconnected;

    Call(Command command, int n) {
        this.command = command;
        this.n = n;
    }

    Command command() {
        return command;
    }

    /** A request goes out on a connection. */
    synchronized void add(Exchange exchange) {
        exchanges.add(exchange);
    }

    /** Why no connection came about, for libraries that forget it. */
    synchronized void unconnected(Throwable why) {
        unconnected = why;
    }

    /** A timer of the whole request may end while it is still being sent. */
    private Map<String, Object> error(Throwable failure, Exchange exchange) {
        Map<String, Object> error = Causes.error(failure, unconnected, exchange.hasResponded());
        if (error.get("name").equals("ReadTimeout") && exchange.isSending() && !exchange.hasResponded()) {
            error.put("name", "WriteTimeout");
        }
        return error;
    }

    /** The call is over: report its events. `failure` is null when it went well. */
    synchronized void report(long bytes, Throwable failure) {
        long ended = System.nanoTime();
        if (exchanges.isEmpty()) {
            exchanges.add(new Exchange(null, null, null, Map.of()));
        }
        for (int number = 0; number < exchanges.size(); number++) {
            Exchange exchange = exchanges.get(number);
            boolean isLast = number == exchanges.size() - 1;
            long t0 = number == 0 ? requested : exchange.began();
            long t = isLast ? ended : exchanges.get(number + 1).began();
            Map<String, Object> event = new LinkedHashMap<>();
            event.put("id", command.id());
            event.put("n", n);
            event.put("session", command.session());
            event.put("method", command.method());
            event.put("url", command.url());
            event.put("t0", Events.seconds(t0));
            event.putAll(exchange.event(!isLast));
            boolean failed = isLast && failure != null;
            event.put("error", failed ? error(failure, exchange) : null);
            event.put("bytes", isLast && failure == null ? bytes : 0);
            Events.emit("request", t, event);
        }
    }
}
