/**
 * Process 1 of the sandbox: for each connection on the listening socket it got from outside, an `sshd -i`.
 * Ignoring SIGCHLD makes the kernel reap every orphan. It is not dumpable, so that the agent, which has the
 * same uid, cannot trace it or take its descriptors. A core limit of 1 byte, unlike 0, also keeps the kernel
 * from handing cores to the host's crash handler (core(5)).
 *
 * Arguments: the numbers of the system calls prctl and prlimit64, the listener's descriptor, the processes
 * allowed (0: no rlimit), the mark of the sandbox, then sshd's command line. It writes `ready` to standard output.
 */
export const initScript = String.raw`
use strict; use warnings;
my ($prctl, $prlimit, $listener_number, $processes, $mark, @sshd) = map { /^[0-9]+$/ ? $_ + 0 : $_ } @ARGV;
syscall($prctl, 4, 0, 0, 0, 0) == 0 or die "prctl: $!";
sub limit { my ($resource, $value) = @_; my $pair = pack 'QQ', $value, $value; syscall($prlimit, 0, $resource, $pair, 0) == 0 or die "prlimit: $!" }
limit(4, 1);
limit(6, $processes) if $processes > 0;
umask 022;
$SIG{CHLD} = 'IGNORE';
$SIG{PIPE} = 'IGNORE';
open my $listener, '+<&=', $listener_number or die "listener: $!";
syswrite STDOUT, "ready\n";
open STDIN, '<', '/dev/null'; open STDOUT, '>', '/dev/null'; open STDERR, '>', '/dev/null';
while (1) {
  my $paddr = accept my $connection, $listener;
  if (!$paddr) { select undef, undef, undef, 0.05; next }
  my $child = fork;
  if (!defined $child) { close $connection; select undef, undef, undef, 0.05; next }
  if ($child == 0) {
    $SIG{CHLD} = 'DEFAULT'; $SIG{PIPE} = 'DEFAULT';
    close $listener;
    if (open my $score, '>', '/proc/self/oom_score_adj') { syswrite $score, "500\n" }
    open STDIN, '<&', $connection; open STDOUT, '>&', $connection;
    close $connection;
    exec { $sshd[0] } @sshd;
    exit 127;
  }
  close $connection;
}
`
