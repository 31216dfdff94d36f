package simctl;

import static simctl.Knobs.knob;
import static simctl.Knobs.milliseconds;
import static simctl.Knobs.number;
import static simctl.Knobs.truth;

import java.io.IOException;

/** The client on Apache HttpClient. */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws IOException {
        Settings settings = null;
        try {
            settings = new Settings(
                    number("POOL_MAXSIZE", knob("POOL_MAXSIZE", "2"), 1, Integer.MAX_VALUE),
                    number("POOL_TOTAL", knob("POOL_TOTAL", "20"), 1, Integer.MAX_VALUE),
                    number("RETRIES", knob("RETRIES", "3"), 0, Integer.MAX_VALUE),
                    milliseconds("VALIDATE_AFTER_INACTIVITY", knob("VALIDATE_AFTER_INACTIVITY", "2s"), 0),
                    milliseconds("KEEPALIVE_EXPIRY", knob("KEEPALIVE_EXPIRY", "0"), 0),
                    milliseconds("MAX_LIFETIME", knob("MAX_LIFETIME", "0"), knob("MAX_LIFETIME", "").isEmpty() ? 0 : 1),
                    milliseconds("EVICT_IDLE", knob("EVICT_IDLE", "0"), 0),
                    truth("TCP_KEEPALIVE", knob("TCP_KEEPALIVE", "false")));
        } catch (IllegalArgumentException wrong) {
            Client.fail("apache-httpclient", 2, wrong.getMessage());
        }
        Client.serve("apache-httpclient", new ApacheLibrary(settings));
    }

    /** The knobs; times in milliseconds, 0 as node.yaml says. */
    record Settings(
            int poolMaxSize,
            int poolTotal,
            int retries,
            int validateAfterInactivity,
            int keepAliveExpiry,
            int maxLifetime,
            int evictIdle,
            boolean tcpKeepAlive) {}
}
