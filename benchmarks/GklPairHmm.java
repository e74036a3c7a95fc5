import com.intel.gkl.pairhmm.IntelPairHmm;
import com.intel.gkl.pairhmm.IntelPairHmmOMP;
import java.io.*;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.*;
import org.broadinstitute.gatk.nativebindings.pairhmm.*;

/**
 * Times GATK's native PairHMM library. java -cp ... GklPairHmm.java PAIRS THREADS RUNS OUT (benchmarks/pairhmm.py writes PAIRS).
 *
 * PAIRS (little endian): int32 regions; for each: int32 reads, int32 haplotypes; for each read: int32 length, bases, qualities, gap
 * opening qualities; for each haplotype: int32 length, bases. Each read of a region meets each of its haplotypes. Prints the seconds of
 * each run; writes float64 log10 likelihoods, by region, read, haplotype, to OUT.
 */
public class GklPairHmm {
    static byte[] take(ByteBuffer in, int n) {
        byte[] out = new byte[n];
        in.get(out);
        return out;
    }

    public static void main(String[] args) throws Exception {
        ByteBuffer in = ByteBuffer.wrap(Files.readAllBytes(Paths.get(args[0]))).order(ByteOrder.LITTLE_ENDIAN);
        int threads = Integer.parseInt(args[1]);
        int n = in.getInt();
        ReadDataHolder[][] reads = new ReadDataHolder[n][];
        HaplotypeDataHolder[][] haplotypes = new HaplotypeDataHolder[n][];
        double[][] likelihoods = new double[n][];
        for (int r = 0; r < n; r++) {
            reads[r] = new ReadDataHolder[in.getInt()];
            haplotypes[r] = new HaplotypeDataHolder[in.getInt()];
            for (int i = 0; i < reads[r].length; i++) {
                ReadDataHolder read = reads[r][i] = new ReadDataHolder();
                int length = in.getInt();
                read.readBases = take(in, length);
                read.readQuals = take(in, length);
                read.insertionGOP = take(in, length);
                read.deletionGOP = read.insertionGOP.clone();
                read.overallGCP = new byte[length];
                java.util.Arrays.fill(read.overallGCP, (byte) 10);
            }
            for (int i = 0; i < haplotypes[r].length; i++) {
                haplotypes[r][i] = new HaplotypeDataHolder();
                haplotypes[r][i].haplotypeBases = take(in, in.getInt());
            }
            likelihoods[r] = new double[reads[r].length * haplotypes[r].length];
        }
        IntelPairHmm hmm = threads > 1 ? new IntelPairHmmOMP() : new IntelPairHmm();
        if (!hmm.load(null)) {
            throw new IllegalStateException("the native library does not load here");
        }
        PairHMMNativeArguments options = new PairHMMNativeArguments();
        options.maxNumberOfThreads = threads;
        options.useDoublePrecision = false;
        hmm.initialize(options);
        for (int run = 0; run <= Integer.parseInt(args[2]); run++) {
            long start = System.nanoTime();
            for (int r = 0; r < n; r++) {
                hmm.computeLikelihoods(reads[r], haplotypes[r], likelihoods[r]);
            }
            if (run > 0) {
                System.out.println((System.nanoTime() - start) * 1e-9);
            }
        }
        try (DataOutputStream out = new DataOutputStream(new BufferedOutputStream(new FileOutputStream(args[3])))) {
            for (double[] some : likelihoods) {
                for (double x : some) {
                    out.writeDouble(x);
                }
            }
        }
    }
}
