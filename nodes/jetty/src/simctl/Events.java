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

    /** `nanos` as nanoTime() gave it. Fields are put in order; values are String, Number, Map of such, or null. */
    static void tell(String ev, long nanos, Map<String, ?> fields) {
        StringBuilder json = new StringBuilder("{\"ev\":");
        append(json, ev);
        // nanoTime() is CLOCK_MONOTONIC on Linux: the same clock as Python's time.monotonic().
        json.append(",\"t\":").append(BigDecimal.valueOf(nanos, 9).toPlainString());
        fields.forEach((name, value) -> {
            json.append(',');
            append(json, name);
            json.append(':');
            append(json, value);
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

    private static void append(StringBuilder json, Object value) {
        if (value instanceof Map<?, ?> map) {
            json.append('{');
            String separator = "";
            for (Map.Entry<?, ?> entry : map.entrySet()) {
                json.append(separator);
                append(json, entry.getKey());
                json.append(':');
                append(json, entry.getValue());
                separator = ",";
            }
            json.append('}');
        } else if (value == null || value instanceof Number) {
            json.append(value);
        } else {
            appendText(json, value.toString());
        }
    }

    private static void appendText(StringBuilder json, String text) {
        json.append('"');
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                json.append('\\').append(c);
            } else if (c < 0x20 || c > 0x7e) {
                json.append(String.format("\\u%04x", (int) c));
            } else {
                json.append(c);
            }
        }
        json.append('"');
    }
}
