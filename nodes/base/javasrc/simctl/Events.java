package simctl;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** Events on standard output, one JSON object a line; nodes/README.md says which. */
final class Events {
    private static final FileOutputStream OUT = new FileOutputStream(FileDescriptor.out);

    private Events() {}

    /** What happens now. */
    static void emit(String ev, Map<String, ?> fields) {
        emit(ev, System.nanoTime(), fields);
    }

    /** `nanos` as nanoTime() gave it. Fields are put in order; their values are what Json.write() takes. */
    static void emit(String ev, long nanos, Map<String, ?> fields) {
        Map<String, Object> event = new LinkedHashMap<>();
        event.put("ev", ev);
        event.put("t", seconds(nanos));
        event.putAll(fields);
        byte[] line = (Json.write(event) + "\n").getBytes(StandardCharsets.UTF_8);
        synchronized (OUT) {
            try {
                OUT.write(line);
            } catch (IOException nobodyReads) {
                Runtime.getRuntime().halt(1);
            }
        }
    }

    /** nanoTime() is CLOCK_MONOTONIC on Linux: the same clock as Python's time.monotonic(). */
    static BigDecimal seconds(long nanos) {
        return BigDecimal.valueOf(nanos, 9);
    }
}
