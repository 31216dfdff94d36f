package simctl;

import java.io.IOException;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.eclipse.jetty.io.ChannelEndPoint;
import org.eclipse.jetty.io.ManagedSelector;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

/** A Jetty 9.4 as Winstone sets it up: one connector, whose idle timeout is the keep-alive timeout. */
public final class Main {
    private static final List<String> FLAGS = List.of("--httpPort", "--httpKeepAliveTimeout");
    private static final Pattern PART = Pattern.compile("([0-9]+(?:\\.[0-9]+)?)(ms|s|m|h)");
    private static final Map<String, Integer> MILLISECONDS = Map.of("ms", 1, "s", 1000, "m", 60_000, "h", 3_600_000);

    static volatile boolean stopping;

    private Main() {}

    public static void main(String[] arguments) throws Exception {
        try {
            serve(new Settings(Arrays.asList(arguments)));
        } catch (IllegalArgumentException wrong) {
            fail(2, wrong.getMessage());
        } catch (IOException refused) {
            fail(1, refused.getMessage() + (refused.getCause() == null ? "" : ": " + refused.getCause().getMessage()));
        }
    }

    private static void serve(Settings settings) throws Exception {
        Server server = new Server();
        ServerConnector connector = new ServerConnector(server) {
            @Override
            protected ChannelEndPoint newEndPoint(SocketChannel channel, ManagedSelector selector, SelectionKey key) {
                Wire wire = new Wire(channel, selector, key, getScheduler(), settings.leak);
                wire.setIdleTimeout(getIdleTimeout());
                return wire;
            }
        };
        connector.setPort(settings.port);
        connector.setIdleTimeout(settings.keepAliveTimeout);
        connector.setAcceptQueueSize(settings.backlog);
        server.addConnector(connector);
        server.setHandler(new Answers(settings.keepAliveRequests));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(server)));
        server.start();
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("kind", "jetty");
        fields.put("pid", ProcessHandle.current().pid());
        fields.put("port", connector.getLocalPort());
        Events.tell("ready", fields);
    }

    private static void stop(Server server) {
        stopping = true;
        try {
            server.stop();
        } catch (Exception failed) {
            System.err.println("jetty: stop: " + failed);
        }
    }

    private static void fail(int status, String message) {
        System.err.println("jetty: " + message);
        Runtime.getRuntime().halt(status);
    }

    /** Environment variables, and Winstone's flags, which win over them. Timeouts in milliseconds. */
    private static final class Settings {
        final int port;
        final long keepAliveTimeout;
        final int keepAliveRequests;
        final int backlog;
        final boolean leak;

        Settings(List<String> arguments) {
            Map<String, String> flags = flags(arguments);
            port = number("the port", flags.getOrDefault("--httpPort", knob("HTTP_PORT", "8080")), 65535);
            String milliseconds = flags.get("--httpKeepAliveTimeout");
            keepAliveTimeout = milliseconds == null
                    ? duration(knob("KEEPALIVE_TIMEOUT", "5s"))
                    : number("--httpKeepAliveTimeout", milliseconds, Integer.MAX_VALUE);
            if (keepAliveTimeout <= 0) {
                throw new IllegalArgumentException(
                        "the keep-alive timeout must be more than 0; KEEPALIVE_REQUESTS=1 turns keep-alive off");
            }
            keepAliveRequests = number("KEEPALIVE_REQUESTS", knob("KEEPALIVE_REQUESTS", "0"), Integer.MAX_VALUE);
            backlog = number("BACKLOG", knob("BACKLOG", "1024"), 65535);
            leak = truth("LEAK", knob("LEAK", "false"));
        }

        private static String knob(String name, String otherwise) {
            String value = System.getenv(name);
            return value == null || value.isBlank() ? otherwise : value.strip();
        }

        private static Map<String, String> flags(List<String> arguments) {
            Map<String, String> flags = new LinkedHashMap<>();
            for (Iterator<String> words = arguments.iterator(); words.hasNext(); ) {
                String[] pair = words.next().split("=", 2);
                if (!FLAGS.contains(pair[0])) {
                    throw new IllegalArgumentException(
                            "unknown argument '" + pair[0] + "'; there are: " + String.join(", ", FLAGS));
                }
                if (pair.length == 1 && !words.hasNext()) {
                    throw new IllegalArgumentException(pair[0] + " needs a value");
                }
                flags.put(pair[0], pair.length == 2 ? pair[1] : words.next());
            }
            return flags;
        }

        private static int number(String name, String text, int most) {
            if (!text.matches("[0-9]{1,10}") || Long.parseLong(text) > most) {
                throw new IllegalArgumentException(
                        name + ": expected a whole number from 0 to " + most + ", not '" + text + "'");
            }
            return Integer.parseInt(text);
        }

        private static long duration(String text) {
            if (!text.matches("(" + PART.pattern() + ")+|0")) {
                throw new IllegalArgumentException(
                        "KEEPALIVE_TIMEOUT: expected a duration such as 5s, 500ms or 1m30s, not '" + text + "'");
            }
            double milliseconds = 0;
            for (Matcher part = PART.matcher(text); part.find(); ) {
                milliseconds += Double.parseDouble(part.group(1)) * MILLISECONDS.get(part.group(2));
            }
            return Math.round(milliseconds);
        }

        private static boolean truth(String name, String text) {
            if (List.of("true", "1", "yes", "on").contains(text.toLowerCase())) {
                return true;
            }
            if (List.of("false", "0", "no", "off").contains(text.toLowerCase())) {
                return false;
            }
            throw new IllegalArgumentException(name + ": expected true or false, not '" + text + "'");
        }
    }
}
