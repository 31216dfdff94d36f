package simctl;

import static simctl.Knobs.knob;
import static simctl.Knobs.milliseconds;
import static simctl.Knobs.number;
import static simctl.Knobs.truth;

import java.io.IOException;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.eclipse.jetty.io.ChannelEndPoint;
import org.eclipse.jetty.io.ManagedSelector;
import org.eclipse.jetty.server.HttpChannel;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

/** A Jetty 9.4 as Winstone sets it up: one connector, whose idle timeout is the keep-alive timeout. */
public final class Main {
    private static final List<String> FLAGS = List.of("--httpPort", "--httpKeepAliveTimeout");

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
        connector.addBean(new HttpChannel.Listener() {
            @Override
            public void onResponseEnd(Request request) {
                ((Wire) request.getHttpChannel().getEndPoint()).written(request.getResponse().getStatus());
            }
        });
        server.addConnector(connector);
        server.setHandler(new Responses(settings.keepAliveRequests));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(server)));
        server.start();
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("kind", "jetty");
        fields.put("pid", ProcessHandle.current().pid());
        fields.put("port", connector.getLocalPort());
        Events.emit("ready", fields);
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
            port = number("the port", flags.getOrDefault("--httpPort", knob("HTTP_PORT", "8080")), 0, 65535);
            String flag = flags.get("--httpKeepAliveTimeout");
            keepAliveTimeout = flag == null
                    ? milliseconds("KEEPALIVE_TIMEOUT", knob("KEEPALIVE_TIMEOUT", "5s"), 0)
                    : number("--httpKeepAliveTimeout", flag, 0, Integer.MAX_VALUE);
            if (keepAliveTimeout <= 0) {
                throw new IllegalArgumentException(
                        "the keep-alive timeout must be more than 0; KEEPALIVE_REQUESTS=1 turns keep-alive off");
            }
            keepAliveRequests = number("KEEPALIVE_REQUESTS", knob("KEEPALIVE_REQUESTS", "0"), 0, Integer.MAX_VALUE);
            backlog = number("BACKLOG", knob("BACKLOG", "1024"), 0, 65535);
            leak = truth("LEAK", knob("LEAK", "false"));
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
    }
}
