package simctl;

import java.math.BigDecimal;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Knobs: the environment variables that every node kind reads by the same names. nodes/base/knobs.py is the same in
 * Python. A variable that is blank is not set. Wrong values are IllegalArgumentExceptions whose one line names them.
 */
final class Knobs {
    private static final Pattern PART = Pattern.compile("([0-9]+(?:\\.[0-9]+)?)(ms|s|m|h)");
    private static final Map<String, Integer> MILLISECONDS = Map.of("ms", 1, "s", 1000, "m", 60_000, "h", 3_600_000);

    private Knobs() {}

    static String knob(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isBlank() ? otherwise : value.strip();
    }

    /** A whole number from `least` to `most`. */
    static int number(String name, String text, int least, int most) {
        boolean number = text.matches("[0-9]{1,10}");
        if (!number || Long.parseLong(text) < least || Long.parseLong(text) > most) {
            throw new IllegalArgumentException(
                    name + ": expected a whole number from " + least + " to " + most + ", not '" + text + "'");
        }
        return Integer.parseInt(text);
    }

    /** Milliseconds, `least` or more; what has parts of a millisecond is refused, not rounded. */
    static int milliseconds(String name, String text, int least) {
        if (!text.matches("(" + PART.pattern() + ")+|0")) {
            throw new IllegalArgumentException(
                    name + ": expected a duration such as 5s, 500ms or 1m30s, not '" + text + "'");
        }
        BigDecimal sum = BigDecimal.ZERO;
        for (Matcher part = PART.matcher(text); part.find(); ) {
            sum = sum.add(new BigDecimal(part.group(1)).multiply(new BigDecimal(MILLISECONDS.get(part.group(2)))));
        }
        boolean whole = sum.stripTrailingZeros().scale() <= 0;
        if (!whole || sum.intValue() < least || sum.compareTo(new BigDecimal(Integer.MAX_VALUE)) > 0) {
            throw new IllegalArgumentException(name + ": this software takes whole milliseconds from " + least
                    + " to " + Integer.MAX_VALUE + ", not " + sum.stripTrailingZeros().toPlainString() + "ms");
        }
        return sum.intValue();
    }

    /** For software that counts in seconds. */
    static int wholeSeconds(String name, String text, int least) {
        int milliseconds = milliseconds(name, text, 0);
        if (milliseconds % 1000 != 0 || milliseconds / 1000 < least) {
            throw new IllegalArgumentException(
                    name + ": this software takes whole seconds, " + least + " or more, not '" + text + "'");
        }
        return milliseconds / 1000;
    }

    static boolean truth(String name, String text) {
        if (List.of("true", "1", "yes", "on").contains(text.toLowerCase())) {
            return true;
        }
        if (List.of("false", "0", "no", "off").contains(text.toLowerCase())) {
            return false;
        }
        throw new IllegalArgumentException(name + ": expected true or false, not '" + text + "'");
    }
}
