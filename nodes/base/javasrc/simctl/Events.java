package simctl;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** Events on standard output, one JSON object a line; nodes/README.md says which. */
final class Events {
    private static final FileOutputStream OUT = new FileOutputStream(FileDescriptor.out);

    private Events() {}

    /** What happens now. */
    static void tell(String ev, Map<String, ?> fields) {
        tell(ev, System.nanoTime(), fields);
    }

    /** `nanos` as nanoTime() gave it. Fields are put in order; their values are what Json.write() takes. */
    static void tell(String ev, long nanos, Map<String, ?> fields) {
        StringBuilder json = new StringBuilder("{\"ev\":");
        Json.write(json, ev);
        json.append(",\"t\":").append(seconds(nanos).toPlainString());
        fields.forEach((name, value) -> {
            json.append(',');
            Json.write(json, name);
            json.append(':');
            Json.write(json, value);
        });
        byte[] line = json.append("}\n").toString().getBytes(StandardCharsets.UTF_8);
        synchronized (OUT) {
            try {
                OUT.write(line);
            } catch (IOException nobodyListens) {
                Runtime.getRuntime().halt(1);
            }
        }
    }

    /** nanoTime() is CLOCK_MONOTONIC on Linux: the same clock as Python's time.monotonic(). */
    static BigDecimal seconds(long nanos) {
        return BigDecimal.valueOf(nanos, 9);
    }
}
