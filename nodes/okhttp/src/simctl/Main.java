package simctl;

import static simctl.Knobs.knob;
import static simctl.Knobs.milliseconds;
import static simctl.Knobs.number;

import java.io.IOException;

/** The client on OkHttp. */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws IOException {
        Settings settings = null;
        try {
            settings = new Settings(
                    number("POOL_MAXSIZE", knob("POOL_MAXSIZE", "5"), 0, Integer.MAX_VALUE),
                    milliseconds("KEEPALIVE_EXPIRY", knob("KEEPALIVE_EXPIRY", "5m"), 1),
                    number("RETRIES", knob("RETRIES", "1"), 0, 1) == 1);
        } catch (IllegalArgumentException wrong) {
            Client.fail("okhttp", 2, wrong.getMessage());
        }
        Client.serve("okhttp", new OkHttpLibrary(settings));
    }

    /** The knobs; times in milliseconds. */
    record Settings(int poolMaxSize, int keepAliveExpiry, boolean retries) {}
}
