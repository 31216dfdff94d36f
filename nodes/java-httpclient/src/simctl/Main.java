package simctl;

import static simctl.Knobs.knob;
import static simctl.Knobs.number;
import static simctl.Knobs.wholeSeconds;

import java.io.IOException;

/** The client on java.net.http. Its settings are system properties, read by the library when it is loaded. */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws IOException {
        try {
            int expiry = wholeSeconds("KEEPALIVE_EXPIRY", knob("KEEPALIVE_EXPIRY", "20m"), 1);
            int size = number("POOL_MAXSIZE", knob("POOL_MAXSIZE", "0"), 0, Integer.MAX_VALUE);
            System.setProperty("jdk.httpclient.keepalive.timeout", String.valueOf(expiry));
            System.setProperty("jdk.httpclient.connectionPoolSize", String.valueOf(size));
        } catch (IllegalArgumentException wrong) {
            Client.fail("java-httpclient", 2, wrong.getMessage());
        }
        Client.serve("java-httpclient", new JdkLibrary());
    }
}
