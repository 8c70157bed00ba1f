/**
 * Runs outside, once per sandbox, as the server's user: joins the cgroups, binds the control socket,
 * gathers what the sandbox will see under one folder of a private mount namespace (so that neither mounts
 * nor loop devices outlive the last process), drops to the sandbox's uid, and becomes bwrap.
 *
 * Arguments: `dir=` the sandbox's folder; `cgroup=`*; with root `uid=`, `syscalls=` (the numbers of mount,
 * unshare, setgroups, setresgid, setresuid), `stage=` (an existing folder to mount
 * over), `bind=NAME=SOURCE`*, `image=` (an ext4 image to mount as NAME `disk`) or `bind=disk=…`; `owned=`* folders
 * to make for the sandbox; then `--`, the program, its argv[0], its arguments. In those `@file:PATH`
 * becomes the number of a descriptor open for reading, `@append:PATH` for appending, `@listener` the socket's.
 * Exit codes: 71 the host refuses something; 72 the disk image could not be mounted; 73 no space.
 */
export const launchScript = String.raw`
my $joiner;
BEGIN {
  # Joining may wait for a grace period of the kernel, some 20 ms: a child asks for it, and the rest goes on.
  my @cgroup;
  for (@ARGV) { last if $_ eq '--'; push @cgroup, $1 if /^cgroup=(.*)/s }
  my $self = $$;
  $joiner = @cgroup ? fork : 0;
  if (!defined $joiner) { print STDERR "fork: $!\n"; exit 71 }
  if (@cgroup && $joiner == 0) {
    for my $path (@cgroup) {
      my $procs;
      next if open $procs, '>', "$path/cgroup.procs" and syswrite $procs, "$self\n";
      print STDERR "joining $path: $!\n";
      exit 71;
    }
    exit 0;
  }
}
use strict; use warnings; use Fcntl; use Socket;
$^F = 4096;
my (%option, @bind, @owned);
while (defined(my $argument = shift @ARGV)) {
  last if $argument eq '--';
  my ($key, $value) = split /=/, $argument, 2;
  if ($key eq 'cgroup') { next }
  elsif ($key eq 'bind') { push @bind, [split /=/, $value, 2] }
  elsif ($key eq 'owned') { push @owned, $value }
  else { $option{$key} = $value }
}
sub fail { my ($code, $what) = @_; print STDERR "$what: $!\n"; exit $code }
chdir $option{dir} or fail(71, "chdir $option{dir}");
if (open my $score, '>', '/proc/self/oom_score_adj') { syswrite $score, "0\n" }
unlink 'control';
socket my $listener, AF_UNIX, SOCK_STREAM, 0 or fail(71, 'socket');
my $mask = umask 0177;
bind $listener, pack_sockaddr_un('control') or fail(71, 'binding the control socket');
umask $mask;
listen $listener, 128 or fail(71, 'listen');

my $uid = $option{uid};
my ($mount, $unshare, $setgroups, $setresgid, $setresuid);
sub mounted {
  my ($source, $target, $type, $flags, $data) = @_;
  syscall($mount, $source, $target, $type, $flags, $data) == 0;
}
sub loop_device {
  my ($image) = @_;
  sysopen my $backing, $image, O_RDWR or fail(72, "opening $image");
  sysopen my $control, '/dev/loop-control', O_RDWR or fail(72, 'opening /dev/loop-control');
  for (1 .. 50) {
    my $index = ioctl $control, 0x4C82, 0 or fail(72, 'LOOP_CTL_GET_FREE');
    $index += 0;
    sysopen my $device, "/dev/loop$index", O_RDWR or fail(72, "opening /dev/loop$index");
    my $config = pack('LLQ5L4', fileno($backing), 0, 0, 0, 0, 0, 0, 0, 0, 0, 4) . "\0" x (160 + 16 + 64);
    return ($device, "/dev/loop$index") if ioctl $device, 0x4C0A, $config;
    fail(72, 'LOOP_CONFIGURE') unless $!{EBUSY};
  }
  fail(72, 'no free loop device');
}
if (defined $uid) {
  ($mount, $unshare, $setgroups, $setresgid, $setresuid) = map { $_ + 0 } split /,/, $option{syscalls};
  syscall($unshare, 0x20000) == 0 or fail(71, 'unshare');
  my ($none, $root, $empty, $tmpfs, $ext4, $sized) = ('none', '/', '', 'tmpfs', 'ext4', 'mode=755,size=1m');
  # Recursively slave: what the host unmounts must not stay busy for a sandbox that lives on.
  mounted($none, $root, $empty, 0x84000, $empty) or fail(71, 'parting from the mounts of the host');
  my @source = map { sysopen my $s, $_->[1], O_RDONLY or fail(71, "opening $_->[1]"); [$_->[0], $s] } @bind;
  my ($device, $device_path) = defined $option{image} ? loop_device($option{image}) : ();
  my $stage = $option{stage};
  mounted($tmpfs, $stage, $tmpfs, 6, $sized) or fail(71, "mounting over $stage");
  for (@source) {
    my ($name, $handle) = @$_;
    my ($from, $to) = ('/proc/self/fd/' . fileno $handle, "$stage/$name");
    if (-d $handle) { mkdir $to or fail(71, "mkdir $to") } else { open my $made, '>', $to or fail(71, $to) }
    mounted($from, $to, $empty, 0x5000, $empty) or fail(71, "binding $name");
  }
  if (defined $device) {
    my $to = "$stage/disk";
    mkdir $to or fail(72, "mkdir $to");
    mounted($device_path, $to, $ext4, 0x406, $empty) or fail(72, "mounting the disk image");
  }
}
for my $folder (@owned) {
  mkdir $folder, 0755 or $!{EEXIST} or fail($!{ENOSPC} ? 73 : 71, "mkdir $folder");
  if (defined $uid) { chown $uid, $uid, $folder or fail(71, "chown $folder") }
}
my @command = map {
  /^\@file:(.*)/s ? do { sysopen my $h, $1, O_RDONLY or fail(71, "opening $1"); push @main::kept, $h; fileno $h }
  : /^\@append:(.*)/s ? do { sysopen my $h, $1, O_WRONLY | O_APPEND | O_CREAT, 0600 or fail(71, "opening $1"); push @main::kept, $h; fileno $h }
  : $_ eq '@listener' ? fileno $listener : $_
} @ARGV;
if ($joiner) { waitpid $joiner, 0; exit 71 if $? }
if (defined $uid) {
  my $groups = pack 'L', $uid;
  syscall($setgroups, 1, $groups) == 0 or fail(71, 'setgroups');
  syscall($setresgid, $uid + 0, $uid + 0, $uid + 0) == 0 or fail(71, 'setresgid');
  syscall($setresuid, $uid + 0, $uid + 0, $uid + 0) == 0 or fail(71, 'setresuid');
}
my $program = shift @command;
exec { $program } @command or fail(71, "starting $program");
`
