import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.*;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;

/** Java's results. java JavaMath.java NAME IN OUT [NAME IN OUT ...]: IN and OUT are float64, little endian. */
public class JavaMath {
    static final Map<String, DoubleUnaryOperator> FUNCTIONS = Map.of(
        "pow10", x -> Math.pow(10.0, x), "log10", Math::log10, "log", Math::log, "exp", Math::exp, "log1p", Math::log1p,
        "expm1", Math::expm1);

    public static void main(String[] args) throws Exception {
        for (int k = 0; k < args.length; k += 3) {
            ByteBuffer data = ByteBuffer.wrap(Files.readAllBytes(Paths.get(args[k + 1]))).order(ByteOrder.LITTLE_ENDIAN);
            DoubleUnaryOperator function = FUNCTIONS.get(args[k]);
            for (int at = 0; at < data.capacity(); at += 8) {
                data.putDouble(at, function.applyAsDouble(data.getDouble(at)));
            }
            Files.write(Paths.get(args[k + 2]), data.array());
        }
    }
}
