"""A plan leaves every file that was there as it was, whatever the script does; and the jobs do what it left out."""

import json
import os
import re
import shlex
import stat

import pytest

from mlxp.scripts.effects import Treatment, treatment


@pytest.fixture
def precious(make_desk):
    """A place to submit from, with files that must not change; `precious.state()` is all that can be seen of them."""
    desk = make_desk("words", "SLURM")
    folder = desk.directory / "precious"
    for name in ("old", "dir/a", "dir/b.tmp", "work/x", "scratch/other/data", "scratch/mine"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"precious {name}\n", encoding="utf-8")
    (folder / "link").symlink_to("old")
    desk.state = lambda: {
        str(path): (stat.S_IMODE(path.lstat().st_mode), path.read_bytes() if path.is_file() else None)
        for path in sorted(folder.rglob("*"))
    }
    desk.env["P"] = str(folder)
    desk.env["TMPDIR"] = str(desk.home)
    return desk


def script(body, shebang="#!/bin/bash", options="#SBATCH --time=1"):
    return f"{shebang}\n{options}\n{body}\n"


def ran(desk, log_id, **env):
    job = desk.run_job(log_id, **env)
    assert job.returncode == 0, job.stderr
    (line,) = (desk.directory / f"logs/{log_id}/ran.jsonl").read_text(encoding="utf-8").splitlines()
    return json.loads(line)


SCRATCH = 'WORK="$P/scratch/$SLURM_JOB_ID"; mkdir -p $WORK'
HARMFUL = {
    "scratch": f"{SCRATCH}\npython main.py a=1,2\nrm -rf $WORK",
    "scratch of a scheduler that is not ours": "WORK=$P/scratch/$JOB_NUMBER\npython main.py a=1,2\nrm -rf $WORK",
    "its content": f'{SCRATCH}\npython main.py a=1,2\nrm -rf "$WORK"/*',
    "from inside": f"{SCRATCH}\ncd $WORK && rm -rf ./*\ncd $SLURM_SUBMIT_DIR\npython main.py a=1,2",
    "moved": "mv $P/work $P/moved; cd $P; mv work old; cd ..\npython main.py a=1,2",
    "at the end": "TMP=$P/work\ntrap 'rm -rf $TMP' EXIT\npython main.py a=1,2",
    "strict": f"set -euo pipefail\n{SCRATCH}\ntrap '/bin/rm -rf $P/dir' EXIT INT\npython main.py a=1,2\nrm -r $P/work",
    "function": 'clean() { rm -rf "$@"; }\nclean $P/work\npython main.py a=1,2',
    "function of that name": 'rm() { command rm -f "$@"; }\nrm -r $P/work\npython main.py a=1,2',
    "alias": "shopt -s expand_aliases\nalias wipe='rm -rf'\nwipe $P/work\npython main.py a=1,2",
    "ways to rm": "command rm $P/old\n/bin/rm $P/old\n\\rm $P/old\n'rm' $P/old\nR=rm; $R $P/old\nenv rm $P/old\n"
    'nice -n 5 rm $P/old\neval "rm $P/old"\nbuiltin command rm $P/old\ntimeout 5 rm $P/old\npython main.py a=1,2',
    "by another": "find $P/dir -name '*.tmp' -delete\nfind $P/dir -type f | xargs rm\nfind $P -name a -exec rm {} +\n"
    "ls $P/dir | xargs -I{} mv $P/dir/{} $P/\nsed -i s/p/q/ $P/old\nsed -n 'w '$P/old $P/dir/a\npython main.py a=1,2",
    "redirections": "echo x > $P/old\necho x >> $P/old\n: >| $P/old\n> $P/old\ncat < $P/dir/a &> $P/old\n"
    "echo >&$P/old\n"
    "{ echo x; echo y; } > $P/old\nfor i in 1 2; do echo $i; done >> $P/old\ncat > $P/old <<END\nx\nEND\n"
    "echo x > $P/link\nexec 5> $P/old\necho x | tee $P/old $P/new | cat\ncat <<< x > $P/old\npython main.py a=1,2",
    "redirection of a run": "python main.py a=1,2 > $P/old 2>> $P/dir/a",
    "overwriting": "cp -f $P/dir/a $P/old\ncp $P/dir/a $P/work/x\nln -sf $P/dir $P/old\ntruncate -s 0 $P/old\n"
    "dd if=/dev/zero of=$P/old count=1\ntouch $P/old\nchmod 600 $P/old\ninstall $P/dir/a $P/old\nrsync -a --delete "
    '$P/dir/ $P/work/\nsort -o $P/old $P/dir/a\nawk \'{ print > ENVIRON["P"] "/old" }\' $P/dir/a\n'
    "tar cf $P/old $P/dir\ncd $P && tar cf - dir | tar xf - && cd ..\npython main.py a=1,2",
    "python": 'python -c \'import os; open(os.environ["P"] + "/old", "w")\'\n'
    "python -c 'import shutil, os; shutil.rmtree(os.environ[\"P\"])'\npython wipe.py\n"
    'echo \'import os; os.remove(os.environ["P"] + "/old")\' | python -\nN=$(python wipe.py)\npython main.py a=1,2',
    "unknown": "./wipe.sh\nbash wipe.sh\nmake -f wipe.mk\nperl -e 'unlink \"$ENV{P}/old\"'\npython main.py a=1,2",
    "another file": "source ./environment.sh\n. ./environment.sh\npython main.py a=1,2",
    "background": "rm -rf $P/work &\n(sleep 0.1; rm $P/old) &\nwhile true; do date > $P/old; sleep 1; done &\n"
    "python main.py a=1,2",
    "conditions": "if rm $P/old; then echo gone; fi\nrm $P/old || echo no\n[ -f $P/old ] && rm $P/old\n"
    "X=$(rm -v $P/old)\nwhile read f; do rm $f; done < <(ls -d $P/*)\ncase x in x) rm $P/old;; esac\n! rm $P/old\n"
    "python main.py a=1,2",
    "a shell of its own": "X=$(bash -c 'rm -rf $P/work; /bin/rm $P/old; echo x > $P/dir/a')\n"
    "if bash wipe2.sh; then :; fi\n"
    "bash -c 'rm -rf $P'\nbash <<END\nrm -rf $P\nEND\nenv -S 'rm -rf $P/work'\nbusybox rm -rf $P\nr''m -rf $P/work\n"
    "$'rm' $P/old\n${NOTHING:-rm} $P/old\n$(echo rm) $P/old\n`echo rm` $P/old\ntime rm -rf $P/work\n"
    "python - <<END\nimport os; os.remove(os.environ['P'] + '/old')\nEND\n[[ -d $P ]] > $P/old\nA=1 > $P/old\n"
    "exec {fd}> $P/old\necho x | tee -a $P/old\ncp -t $P/work $P/old $P/dir/a\nwget -O $P/old localhost:1\n"
    "python main.py a=1,2\nexec rm -rf $P",
    "spelled otherwise": "sed -n 's|.|x|gw '$P/old $P/dir/a\nsed -n \"w$P/old\" $P/dir/a\nsed '1e rm '$P/old $P/dir/a\n"
    "sed --in-pl s/p/q/ $P/old\nsort --outp=$P/old $P/dir/a\niconv -f utf8 $P/dir/a -o $P/old\nhistory -w $P/old\n"
    'awk \'BEGIN { print "a}" > ENVIRON["P"] "/old" }\'\nperl -MFile::Path -e \'rmtree($ENV{P})\'\n'
    'perl -e \'use File::Copy; move("$ENV{P}/old", "x")\'\n/usr/bin/time -o $P/old ls\nenv -C $P rm old\n'
    "timeout -s KILL 5 rm $P/old\ncp -r $P/dir/. $P/work\ncd $P/work; echo $P/old > sort; xargs -a sort rm; cd - \n"
    "python3.11 -c 'open(\"'$P/old'\", \"w\")'\nX=$((rm $P/old; : >> $P/old) | cat)\ncommand ./wipe.sh\n"
    "tar tf x.tar --to-command='rm '$P/old\necho 1 1<> $P/old\nexec {both}<> $P/old\n"
    "python main.py a=1,2\nexec ./wipe.sh",
    "in a text that is executed": "eval 'command rm $P/old; env rm $P/old; : > $P/old; echo x >> $P/old; ./wipe.sh'\n"
    "eval \"eval 'unlink $P/old'\"\nshopt -s expand_aliases\nalias go='command rm -f' gone='env rm -f'\ngo $P/old\n"
    "gone $P/old\neval 'go $P/old'\nX=$(sh -c 'rm $P/old; : > $P/old')\nX=$(bash -c 'env rm $P/old; echo >> $P/old')\n"
    "X=$(env -i P=$P bash -c 'command rm $P/old')\nX=$(bash <<< 'command rm $P/old; : >| $P/old')\nX=$(./wipe3.sh)\n"
    "source ./read.sh\nX=$(. ./read.sh)\npython main.py a=1,2",
    "around runs": "for a in 1 2; do rm -rf $P/work; python main.py a=$a; rm -f $P/old; done",
    "shell of the system": "clean() { rm -rf $P/work; }\nclean\ncommand rm $P/old\necho x > $P/old\n"
    ". ./environment.sh\npython main.py a=1,2",
}

SILENT = {"redirection of a run"}


@pytest.mark.parametrize("name", HARMFUL)
def test_plan_leaves_every_file_as_it_was(precious, name):
    shebang = "#!/bin/sh" if name == "shell of the system" else "#!/bin/bash"
    precious.write("import os, pathlib\nfor f in pathlib.Path(os.environ['P']).glob('*'): f.unlink()\n", "wipe.py")
    precious.write("#!/bin/sh\nrm -rf $P/*\n", "wipe.sh").chmod(0o755)
    precious.write("#!/bin/bash\nrm -rf $P/work\n/bin/rm -f $P/old\n", "wipe2.sh")
    precious.write("all:\n\trm -rf $P/*\n", "wipe.mk")
    precious.write("#!/bin/sh\ncommand rm -f $P/old\n: >> $P/old\n", "wipe3.sh").chmod(0o755)
    precious.write("env rm -f $P/old\necho x >> $P/old\n: >| $P/old\n./wipe.sh\nexec 5<> $P/old\n", "read.sh")
    precious.write("rm -rf $P/work\n/bin/rm -f $P/old\necho x > $P/old || true\nexport READ=yes\n", "environment.sh")
    before = precious.state()
    result = precious.submit(script(HARMFUL[name], shebang))
    after = precious.state()
    assert {path: after.get(path) for path in before} == before
    assert len(precious.app.log_ids()) == 2
    assert "left to the jobs" in result.stderr or name in SILENT


WAYS = r"""
rm -f F
/bin/rm F
\rm F
r\m F
"rm" F
$RM F
"${LIST[@]}" F
A=1 rm F
command rm F
command -p rm F
builtin command rm F
command eval 'rm F'
builtin eval "rm F"
eval "$(echo rm F)"
eval 'eval "env rm F"'
. <(echo rm F)
. ./remove.sh F
X=$(. ./remove.sh F)
f() { rm F; }; f
function g { rm F; }; g
h() ( /bin/rm F ); h
j() { local x; x=$(rm F); }; j
k() { rm F; }; export -f k; bash -c k
shopt -s expand_aliases; alias wipe='rm -f'
wipe F
hash -p /bin/rm other; other F
(exec -a name rm F)
(exec rm F)
nohup rm F
sudo rm F
setsid rm F
timeout 5 rm F
nice -n 5 rm F
stdbuf -o0 rm F
flock list rm F
script -qc "rm F" /dev/null
busybox rm F
env -i A=1 rm F
env -S 'rm F'
coproc rm F
time -p rm F
! rm F
if rm F; then :; elif rm F; then :; fi
until rm F; do :; done
while read x; do rm F; done <<< y
for ((i = 0; i < 1; i++)); do rm F; done
for x in $(rm F); do :; done
case $(rm F) in x) rm F;; *) rm F;; esac
[[ -n $(rm F) ]]
[ -f F ] && rm F
rm F || rm F
{ rm F; } &
rm F & wait
( rm F ) | cat
cat list | rm F
echo F | xargs rm
echo F | xargs -I{} sh -c 'rm {}'
find . -name F -print0 | xargs -0 rm
find F -exec rm {} \\;
find F -exec sh -c 'rm F' \\;
find F -delete
: ${X:-$(rm F)}
export X=$(rm F)
X="`rm F`"
cat <(rm F)
echo x > >(cat > F)
trap 'rm F' EXIT
trap 'rm F' DEBUG
mapfile -C 'rm F #' -c 1 x < list
let 'a[$(rm F)]'
X=$(bash -c 'rm F')
X=$(bash -c 'command rm F; exec 3> F; exec /bin/rm F')
X=$(env A=1 timeout 5 nice bash -c 'bash -c "rm F"')
X=$(echo 'rm F' | bash)
X=$(./remove.sh F)
if bash remove.sh F; then :; fi
./remove.sh F | while read x; do :; done
X=$(python -c 'import os; os.remove("F")')
X=$(python -c 'import os; os.system("rm F")')
env python -c 'open("F", "w")'
srun bash -c 'rm F'
exec {fd}>> F
ls 2> F
ls &>> F
> ./F
tee -a F < list
cd sub; rm ../F; : > ../F; cd ..
set -- $(rm F)
(exec rm F)
"""
"""Ways to harm a file F, one per line."""


@pytest.mark.parametrize("how", [". ./ways.sh", "X=$(bash ways.sh)", "f0() {{\n{}\n}}\nf0 | cat"])
def test_no_way_to_call_a_command_gets_round_the_plan(precious, how):
    lines = [re.sub(r"\bF\b", f"f{number}", line) for number, line in enumerate(WAYS.strip().splitlines())]
    for number in range(len(lines)):
        precious.write(f"precious {number}\n", f"f{number}")
    precious.write("x\n", "list")
    precious.write("#!/bin/bash\nrm -f $1\nenv rm -f $1\n: > $1\n", "remove.sh").chmod(0o755)
    ways = "RM=rm; LIST=(rm -f); mkdir -p sub\n" + "\n".join(lines)
    precious.write(ways + "\n", "ways.sh")
    precious.submit(script(how.format(ways) + "\npython main.py a=1"))
    files = [precious.directory / f"f{number}" for number in range(len(lines))]
    harmed = [
        line
        for line, file in zip(lines, files, strict=True)
        if not file.is_file() or "precious" not in file.read_text()
    ]
    assert harmed == []


def test_no_program_that_starts_another_hides_what_it_does():
    starters = [
        "env",
        "env A=1 nice",
        "command",
        "exec -a x",
        "nohup",
        "time",
        "timeout 5",
        "xargs",
        "sudo",
        "setsid -w",
        "srun",
    ]
    harmful = [
        "rm x",
        "/bin/rm x",
        "sed -i s/a/b/ x",
        "git clean -fd",
        "mv a b",
        "find . -delete",
        "sbatch x",
        "kill 5",
    ]
    for starter in starters:
        for command in harmful:
            assert treatment([*starter.split(), *command.split()]) is Treatment.LEAVE, (starter, command)


def test_jobs_do_what_the_plan_left_out(precious):
    body = f"{SCRATCH}\necho x > $WORK/x\nls $WORK\npython main.py a=1,2\nrm -rf $WORK; rm $P/old"
    result = precious.submit(script(body))
    assert "line 3: mkdir" not in result.stderr
    assert "no existing file: line 7: rm -rf $WORK; line 7: rm $P/old\n" in result.stderr
    job = precious.run_job(2, SLURM_JOB_ID="77")
    assert (job.returncode, job.stdout) == (0, "x\n")
    assert set(os.listdir(precious.env["P"])) == {"dir", "work", "scratch", "link"}
    assert set(os.listdir(precious.env["P"] + "/scratch")) == {"other", "mine"}


def test_job_of_a_turn_of_a_loop_does_what_was_left_out_of_it(precious):
    body = "for a in 1 2; do rm -rf $P/dir/$a $P/work; python main.py a=$a; touch $P/old; rm $P/dir/b.tmp; done"
    precious.submit(script(body))
    lines = precious.job(2).splitlines()[-4:]
    p = shlex.quote(precious.env["P"])
    assert lines == [f"rm -rf {p}/dir/2 {p}/work", "python main.py a=2", f"touch {p}/old", f"rm {p}/dir/b.tmp"]


def test_what_cannot_be_done_by_the_job_of_one_turn_is_refused(precious):
    before = precious.state()
    body = "for a in 1 2; do rm -rf $P/work > /dev/null; python main.py a=$a; done"
    result = precious.mlxpsub(precious.write(script(body)).name)
    assert result.returncode == 1
    assert "line 3: rm -rf $P/work > /dev/null: it changes what is there, inside a loop" in result.stderr
    assert precious.state() == before


def test_what_is_new_is_created_for_what_follows(precious):
    body = """\
set -e
mkdir -p new/sub && cd new
echo 'a=5' > values
echo 'b=6' >> values
cp values sub/ && ln -s sub/values link && touch other
T=$(mktemp -d); echo 7 > $T/seven; cat $T/seven > seven
cat values | tee copy > /dev/null
python ../main.py $(cat link) c=$(cat seven) $(cat copy | tail -n 1 | sed s/b/d/)"""
    precious.submit(script(body))
    assert precious.commands() == ["python ../main.py a=5 b=6 c=7 d=6"]
    assert not [name for name in os.listdir(precious.home) if name.startswith("tmp.")]


def test_common_set_up_is_done_in_the_plan(precious):
    precious.write("export ACTIVE=$1\n", "venv/bin_activate")
    body = """\
set -eu
module() { export MODULES="${MODULES:-} $2"; }
module load python/3.11
conda() { [ "$1" != activate ] || export ENVIRONMENT=$2; }
conda activate torch
source venv/bin_activate yes
ulimit -n 512; umask 022; date; hostname; uname -a; nproc; df . > /dev/null
export N=$(seq 3 | wc -l) H=$(hostname) HERE=$(cd "$(dirname "$0")" && pwd)
[ -n "$H" ] && [ "$HERE" = "$PWD" ] || exit 3
python main.py n=$N modules=${MODULES# python/} environment=$ENVIRONMENT active=$ACTIVE"""
    result = precious.submit(script(body))
    assert precious.commands() == ["python main.py n=3 modules=3.11 environment=torch active=yes"]
    assert "left to the jobs" not in result.stderr


@pytest.mark.parametrize("scheduler", ["sbatch", "scancel"])
def test_plan_calls_no_scheduler(precious, scheduler):
    precious.submit(script(f"J=$({scheduler} other.sh)\n{scheduler} x &\n{scheduler} y || true\npython main.py a=1"))
    assert [call[0] for call in precious.calls()] == ["sbatch"]


def test_program_of_mlxp_that_changes_files_before_its_runs_are_known_is_refused(make_desk):
    desk = make_desk("quickstart", "SLURM")
    desk.write("precious", "results.csv")
    main = (desk.directory / "main.py").read_text(encoding="utf-8")
    desk.write("open('results.csv', 'w').close()\n" + main, "main.py")
    result = desk.mlxpsub(desk.write(script("python main.py seed=1,2")).name)
    assert result.returncode == 1
    assert "would overwrite results.csv before mlxpsub knows what it runs" in result.stderr
    assert (desk.directory / "results.csv").read_text(encoding="utf-8") == "precious"


def test_what_a_program_does_with_results_is_not_done_in_the_plan(make_desk):
    desk = make_desk("quickstart", "SLURM")
    desk.write("precious", "results.csv")
    main = (desk.directory / "main.py").read_text(encoding="utf-8")
    main = main.replace(
        "    my_task()", "    try:\n        my_task()\n    finally:\n        open('results.csv', 'w').close()"
    )
    desk.write(main, "main.py")
    desk.submit(script("python main.py seed=1,2"))
    assert (desk.directory / "results.csv").read_text(encoding="utf-8") == "precious"


def test_program_of_mlxp_may_ask_about_its_surroundings_while_it_is_imported(make_desk):
    desk = make_desk("quickstart", "SLURM")
    main = (desk.directory / "main.py").read_text(encoding="utf-8")
    asking = """\
import os, pathlib, platform, subprocess, tempfile
subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True)
subprocess.run("uname -a", shell=True, capture_output=True)
os.system("hostname")
platform.processor()
with tempfile.NamedTemporaryFile() as file:
    file.write(b"x")
pathlib.Path("out/new").mkdir(parents=True, exist_ok=True)
pathlib.Path("out/new/notes").write_text("a")
pathlib.Path("out/new/notes").write_text("b")
pathlib.Path("out/new/notes").rename("out/renamed")
os.remove("out/renamed")
"""
    desk.write(asking + main, "main.py")
    desk.submit(script("python main.py seed=1,2\nsed -n 1p configs/config.yaml"))
    assert len(desk.app.log_ids()) == 2


@pytest.mark.parametrize(
    ("line", "is_executed"),
    [
        ("git -C . log -1", True),
        ("git -c core.pager=cat branch --list", True),
        ("git branch -D main", False),
        ("git checkout main", False),
        ("git stash", False),
        ("git reset --hard", False),
        ("git config --get user.name", True),
        ("git config user.name x", False),
        ("tar tzf data.tgz", True),
        ("tar xzf data.tgz", False),
        ("unzip -l data.zip", True),
        ("unzip -o data.zip", False),
        ("sed -n -e 1p file", True),
        ("sed -ni 1p file", False),
        ("sed --in-place=.bak s/a/b/ file", False),
        ("sort -uo file file", False),
        ("find . -type f -exec grep -l x {} +", True),
        ("find . -exec sh -c rm {} ;", False),
        ("xargs -0 -n 1 rm", False),
        ("xargs -n 1 basename", True),
        ("env -u X PATH=/bin rm x", False),
        ("nohup nice -n 19 ionice -c 3 mv a b", False),
        ("awk {print$1} file", True),
        ('awk {system("rm")} file', False),
        ("conda activate base", True),
        ("conda install -y x", False),
        ("pip list", True),
        ("pip install -e .", False),
        ("scontrol show hostnames n[1-2]", True),
        ("scontrol requeue 5", False),
        ("kill -0 5", True),
        ("kill 5", False),
        ("rm --version", True),
        ("/usr/local/bin/rsync --delete a/ b/", False),
        ("command -v rm", True),
        ("nvidia-smi", True),
        ("nvidia-smi --gpu-reset", False),
        ("module load cuda", True),
        ("module save", False),
        ("make", False),
        ("sudo ls", False),
        ("env -S rm_x", False),
        ("curl -s https://x", True),
        ("curl -so old https://x", False),
        ("wget -qO- https://x", True),
        ("wget https://x", False),
        ("perl -ne print file", True),
        ("perl -i -pe s/a/b/ file", False),
        ("perl -e unlink('x')", False),
        ("perl -MFile::Path -e rmtree('x')", False),
        ("perl -e $^I=''", False),
        ("perl -ne print rm|", False),
        ("sed -n w/x", False),
        ("sed s|a|b|w/x", False),
        ("sed s,a,b,gw/x file", False),
        ("sed 1e file", False),
        ("sed -f script file", False),
        ("sed --in file", False),
        ("sed -e b;w/x file", False),
        ("sed -E s/(a)[/]/\\1/g;/^#/,+2d;$!N;y/a/b/ file", True),
        ("sed 5q file", True),
        ("sed :a;N;$!ba file", True),
        ("sed -ne /a/,/b/{p} file", True),
        ("awk {print} file", True),
        ("awk -F: $3>0.5{print$1} file", True),
        ("awk {print>$1} file", False),
        ("awk -f script file", False),
        ("gawk -o file", False),
        ("sort -k2,2n -t, -u file", True),
        ("sort --outp=file file", False),
        ("sort --compress-program=rm file", False),
        ("date -Iseconds", True),
        ("date -dyesterday +%s", True),
        ("date --date=now +%F", True),
        ("date 01010000", False),
        ("iconv -f utf8 -t latin1 file", True),
        ("iconv -o file file", False),
        ("sdiff -o out a b", False),
        ("xargs -a sort rm", False),
        ("xargs -a sort cat", True),
        ("xargs --frob cat", False),
        ("env -C /tmp rm x", False),
        ("env -C /tmp ls", True),
        ("timeout -s KILL 5 ls", True),
        ("timeout 5 rm x", False),
        ("/usr/bin/time -o file ls", False),
        ("nice ls", True),
        ("git -c alias.x=!rm x", False),
        ("git grep -Orm x", False),
        ("git diff --outp=x", False),
        ("git branch --unset-upstream", False),
        ("nvidia-smi --query-gpu=name --format=csv", True),
        ("nvidia-smi mig -dgi", False),
        ("module initadd x", False),
        ("curl --json x https://x", False),
        ("curl -K file", False),
        ("wget -qO- -o log https://x", False),
        ("tar tf a --to-command=rm", False),
        ("history", True),
        ("history -w file", False),
        ("mlxp status", False),
    ],
)
def test_commands_are_known_by_what_they_can_do(line, is_executed):
    assert (treatment(line.split()) is Treatment.RUN) is is_executed
