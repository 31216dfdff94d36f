package simctl;

import static simctl.Knobs.knob;
import static simctl.Knobs.milliseconds;
import static simctl.Knobs.number;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.Stream;
import org.apache.catalina.LifecycleException;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;
import org.apache.coyote.http11.Http11NioProtocol;
import org.apache.tomcat.util.modeler.Registry;
import org.apache.tomcat.util.net.NioEndpoint;

/** A Tomcat with one connector and one application, Responses. What no knob says is as Tomcat has it. */
public final class Main {
    private static final Logger LOG = Logger.getLogger("org.apache"); // kept, or its level is forgotten

    private Main() {}

    public static void main(String[] arguments) throws IOException {
        try {
            serve();
        } catch (IllegalArgumentException wrong) {
            fail(2, wrong.getMessage());
        } catch (LifecycleException refused) {
            Throwable cause = refused;
            while (cause.getCause() != null) {
                cause = cause.getCause();
            }
            fail(1, cause.getMessage());
        }
    }

    private static void serve() throws IOException, LifecycleException {
        NioEndpoint endpoint = new NioEndpoint();
        Http11NioProtocol protocol = new Http11NioProtocol(endpoint);
        protocol.setPort(number("HTTP_PORT", knob("HTTP_PORT", "8080"), 0, 65535));
        protocol.setKeepAliveTimeout(milliseconds("KEEPALIVE_TIMEOUT", knob("KEEPALIVE_TIMEOUT", "60s"), 1));
        int requests = number("KEEPALIVE_REQUESTS", knob("KEEPALIVE_REQUESTS", "100"), 0, Integer.MAX_VALUE);
        protocol.setMaxKeepAliveRequests(requests == 0 ? -1 : requests);
        protocol.setAcceptCount(number("BACKLOG", knob("BACKLOG", "100"), 1, 65535));
        protocol.setMaxThreads(number("THREADS", knob("THREADS", "200"), 1, 10_000));
        Connections connections = new Connections(endpoint.getHandler());
        endpoint.setHandler(connections);
        start(new Connector(protocol), connections);
        Map<String, Object> ready = new LinkedHashMap<>();
        ready.put("kind", "tomcat");
        ready.put("pid", ProcessHandle.current().pid());
        ready.put("port", protocol.getLocalPort());
        Events.emit("ready", ready);
    }

    private static void start(Connector connector, Connections connections) throws IOException, LifecycleException {
        LOG.setLevel(Level.WARNING);
        Registry.disableRegistry(); // nobody manages it by JMX: its descriptions in XML are half of the start
        Path folder = Files.createTempDirectory("tomcat-");
        Tomcat tomcat = new Tomcat();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(tomcat, connections, folder)));
        tomcat.setBaseDir(folder.toString());
        connector.setThrowOnFailure(true);
        tomcat.setConnector(connector);
        tomcat.addContext("", null).getPipeline().addValve(new Responses(connections));
        tomcat.start();
    }

    private static void stop(Tomcat tomcat, Connections connections, Path folder) {
        connections.stopping();
        try {
            tomcat.stop();
            connections.stopped();
            try (Stream<Path> files = Files.walk(folder)) {
                List<Path> inner = files.sorted((one, other) -> other.compareTo(one)).toList();
                for (Path path : inner) {
                    Files.delete(path);
                }
            }
        } catch (LifecycleException | IOException | InterruptedException failed) {
            System.err.println("tomcat: stop: " + failed);
        }
    }

    private static void fail(int status, String message) {
        System.err.println("tomcat: " + message);
        System.exit(status);
    }
}
