"""A Hub on loopback that answers huggingface_hub 2.4.0 as the real one does, with real storage, for models and Spaces.

It checks what it receives. A file is stored only if its sha256 and size match what was announced, and a commit is made
whole or not at all. Each repo is a git repo at `root/TYPE/USER/NAME`, its large files under `.git/lfs/objects`.
"""

import base64
import contextlib
import fnmatch
import hashlib
import json
import os
import re
import socket
import subprocess
import tempfile
import threading
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath

import yaml
from huggingface_hub import SpaceHardware

# The patterns for Keras models among those that the Hub writes into a new repo's .gitattributes.
LFS_PATTERNS = ["*.bin", "*.h5", "*.keras", "*.npz", "*.onnx", "*.safetensors", "*.tflite", "*.zip"]
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"
FREE_HARDWARE = "cpu-basic"
STAGES = ("BUILDING", "APP_STARTING", "RUNNING")


class Refused(Exception):
    """An error response: its status, its message, and its `X-Error-Code`."""

    def __init__(self, status, message, code=None, content=None, **headers):
        self.status, self.message, self.code, self.headers = status, message, code, headers
        self.content = content or {}  # more fields of the response's JSON


@dataclass
class Fault:
    """A fault in the next requests whose "METHOD /path" matches a pattern."""

    pattern: str
    times: int
    status: int | None = None  # sent instead of the real response
    message: str | None = "a fault"  # sent with it
    headers: dict = field(default_factory=dict)
    cut_after: int | None = None  # cut the connection after this many bytes of the body, read or written
    damage: bool = False  # change the last byte of the response's body


class Hub:
    """The server, a context manager that returns itself. Its address is `url`.

    Args:
        root: the folder of the repos.
        users: a dict from tokens to the namespaces they may write to, the user's own name first.
        port: the port on 127.0.0.1.

    `free` holds the namespaces without a paid plan: they may have only static Spaces, or pay for the hardware.
    """

    def __init__(self, root, users, port):
        self.root, self.users, self.port = Path(root), users, port
        self.free = set()
        self.url = f"http://127.0.0.1:{port}"
        self.faults, self.requests = [], []
        self.lock = threading.Lock()

    def __enter__(self):
        handler = type("Handler", (_Handler,), {"hub": self})
        self.connections = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        for connection in set(self.connections):  # a client may keep one open for its next request
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def fail(self, pattern, times=1, **what):
        """Make the next matching requests fail; see Fault."""
        self.faults.append(Fault(pattern, times, **what))

    def repo(self, kind, repo_id):
        """Return the Repo of a kind, "models" or "spaces"; it may not exist."""
        return Repo(self.root / kind / repo_id, kind, repo_id)


class Repo:
    """One repo: git holds its history, a JSON file its settings."""

    def __init__(self, path, kind, repo_id):
        self.path, self.kind, self.id = path, kind, repo_id
        self._settings = path / ".git" / "hub.json"

    @property
    def exists(self):
        return self._settings.exists()

    @property
    def settings(self):
        return json.loads(self._settings.read_text())

    @settings.setter
    def settings(self, settings):
        self._settings.write_text(json.dumps(settings))

    def create(self, settings):
        self.path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch", "main")
        attributes = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LFS_PATTERNS)
        self.settings = settings
        self.commit("main", {".gitattributes": attributes.encode()}, [], "initial commit")

    def git(self, *arguments, text=True, **options):
        identity = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"} | {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "hub"), ("EMAIL", "hub@localhost"))
        }
        environment = {**os.environ, **identity, **options.pop("env", {})}
        command = ["git", "-C", str(self.path), *arguments]
        output = subprocess.run(command, check=True, capture_output=True, text=text, env=environment, **options).stdout
        return output.strip() if text else output

    def sha(self, revision):
        """Return the commit of a branch, a tag or a sha; Refused if there is none."""
        for name in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            if name != revision or re.fullmatch("[0-9a-f]{7,40}", revision):
                with contextlib.suppress(subprocess.CalledProcessError):
                    return self.git("rev-parse", "--verify", "--quiet", name + "^{commit}")
        raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def files(self, sha):
        """Return the files of a commit by path, each with the fields that the Hub lists."""
        files = {}
        for line in self.git("ls-tree", "-r", "-z", "--long", sha).split("\0"):
            if line:
                head, path = line.split("\t")
                _, _, oid, size = head.split()
                files[path] = {"type": "file", "path": path, "oid": oid, "size": int(size)}
                if int(size) < 200:
                    pointer = re.fullmatch(POINTER.format("([0-9a-f]{64})", "([0-9]+)"), self.blob(oid).decode())
                    if pointer:
                        lfs = {"oid": pointer[1], "size": int(pointer[2]), "pointerSize": int(size)}
                        files[path] |= {"size": int(pointer[2]), "lfs": lfs}
        return files

    def blob(self, oid):
        return self.git("cat-file", "blob", oid, text=False)

    def lfs_path(self, oid):
        return self.path / ".git" / "lfs" / "objects" / oid[:2] / oid[2:4] / oid

    def commit(self, branch, added, deleted, message, parent=None):
        """Make one commit on a branch and return its sha. A reader sees all of it or nothing."""
        head = self.git("for-each-ref", "--format", "%(objectname)", f"refs/heads/{branch}")
        if parent and parent != head:
            raise Refused(412, f"A commit has happened since. Please refresh and try again: {head}")
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": f"{folder}/index"}
            if head:
                self.git("read-tree", head, env=index)
            for path, content in added.items():
                oid = self.git("hash-object", "-w", "--stdin", input=content, text=False).decode().strip()
                self.git("update-index", "--add", "--cacheinfo", f"100644,{oid},{path}", env=index)
            for path in deleted:
                self.git("update-index", "--force-remove", path, env=index)
            tree = self.git("write-tree", env=index)
        parents = ["-p", head] if head else []
        new = self.git("commit-tree", tree, *parents, "-m", message)
        self.git("update-ref", f"refs/heads/{branch}", new, *([head] if head else []))
        return new


class _Handler(BaseHTTPRequestHandler):
    """Answer the requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # send the second part of a response without waiting
    hub: Hub

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        self.hub.connections.add(self.connection)

    def finish(self):
        self.hub.connections.discard(self.connection)
        super().finish()

    def handle_any(self):
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        self.query = dict(urllib.parse.parse_qsl(url.query))
        line = f"{self.command} {path}"
        with self.hub.lock:
            self.hub.requests.append(line)
            fault = next((fault for fault in self.hub.faults if fault.times and re.search(fault.pattern, line)), None)
            if fault:
                fault.times -= 1
        self.fault = fault or Fault("", 0)
        self.body = None
        try:
            self.route(path)
        except ConnectionError:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

    def route(self, path):
        try:
            if self.fault.status:
                raise Refused(self.fault.status, self.fault.message, **self.fault.headers)
            for methods, pattern, answer in ROUTES:
                found = re.fullmatch(pattern, path)
                if found and self.command in methods:
                    return answer(self, **found.groupdict())
            raise Refused(404, f"no such page: {path}")
        except Refused as refused:
            headers = {"X-Request-Id": "Root=1-2345", **refused.headers}
            if refused.message:
                headers["X-Error-Message"] = refused.message
            if refused.code:
                headers["X-Error-Code"] = refused.code
            self.read_body()
            self.answer({"error": refused.message, **refused.content}, refused.status, **headers)

    def read_body(self):
        """Return the request's body; ConnectionError if it is incomplete or must be cut."""
        if self.body is None:
            size = int(self.headers.get("Content-Length", 0))
            wanted = size if self.fault.cut_after is None else min(size, self.fault.cut_after)
            self.body = self.rfile.read(wanted)
            if len(self.body) < size:
                self.connection.close()
                raise ConnectionError
        return self.body

    def read_json(self):
        return json.loads(self.read_body())

    def answer(self, content, status=200, /, **headers):
        self.send(json.dumps(content).encode(), status, **{"Content-Type": "application/json", **headers})

    def send(self, body, status=200, /, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.fault.damage:
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.wfile.write(body[: self.fault.cut_after])
        if self.fault.cut_after is not None:
            raise ConnectionError

    # Access.

    def namespaces(self):
        """Return the namespaces that the client may write to; none without a token."""
        credentials = self.headers.get("Authorization")
        if credentials is None:
            return []
        token = credentials.removeprefix("Bearer ")
        if token not in self.hub.users:
            raise Refused(401, "Invalid credentials in Authorization header")
        return self.hub.users[token]

    def repo(self, kind, repo_id, *, write=False):
        """Return a Repo that the client may read, or write. The Hub hides it from everyone else."""
        namespaces = self.namespaces()
        repo = self.hub.repo(kind, repo_id)
        own = repo_id.partition("/")[0] in namespaces
        if not repo.exists or (repo.settings["private"] and not own):
            raise Refused(404 if namespaces else 401, "Repository not found", "RepoNotFound")
        if write and not namespaces:
            raise Refused(401, "Invalid username or password.")
        if write and not own:
            raise Refused(403, f"You don't have the rights to write to {repo_id}")
        return repo

    def whoami(self):
        namespaces = self.namespaces()
        if not namespaces:
            raise Refused(401, "Invalid username or password.")
        self.answer({"type": "user", "name": namespaces[0], "orgs": [{"name": name} for name in namespaces[1:]]})

    # Repos.

    def page(self, kind, repo_id):
        return f"{self.hub.url}/{'' if kind == 'models' else 'spaces/'}{repo_id}"

    def create(self):
        wanted = self.read_json()
        namespaces = self.namespaces()
        if not namespaces:
            raise Refused(401, "Invalid username or password.")
        namespace, kind = wanted.get("organization") or namespaces[0], wanted.get("type", "model") + "s"
        if namespace not in namespaces:
            raise Refused(403, f'You don\'t have the rights to create a {kind[:-1]} under the namespace "{namespace}"')
        hardware = wanted.get("hardware", FREE_HARDWARE)
        self.check_hardware(hardware)
        if namespace in self.hub.free and wanted.get("sdk", "static") != "static" and hardware == FREE_HARDWARE:
            raise Refused(402, f"A {wanted['sdk']} Space on {hardware} hardware needs a PRO subscription")
        repo_id = f"{namespace}/{wanted['name']}"
        made = {"url": self.page(kind, repo_id), "name": repo_id, "id": repo_id}
        with self.hub.lock:
            repo = self.hub.repo(kind, repo_id)
            if repo.exists:
                raise Refused(409, f"You already created this {kind[:-1]} repo: {repo_id}", content=made)
            variables = {each["key"]: each["value"] for each in wanted.get("variables", [])}
            repo.create(
                {
                    "private": wanted.get("visibility") == "private",
                    "sdk": wanted.get("sdk"),
                    "variables": variables,
                    "hardware": hardware,
                    "stages": ["NO_APP_FILE"],
                }
            )
        self.answer(made)

    def info(self, kind, repo_id, revision="main"):
        repo = self.repo(kind, repo_id)
        sha = repo.sha(revision)
        about = {"_id": repo_id, "id": repo_id, "author": repo_id.partition("/")[0], "sha": sha, "tags": []}
        about |= {"private": repo.settings["private"], "downloads": 0, "likes": 0}
        self.answer(about | {"siblings": [{"rfilename": path} for path in repo.files(sha)]})

    def refs(self, kind, repo_id):
        repo = self.repo(kind, repo_id)

        def named(pattern):
            lines = repo.git("for-each-ref", "--format", "%(refname) %(objectname)", pattern).splitlines()
            names = [line.split() for line in lines]
            return [{"name": ref.split("/", 2)[2], "ref": ref, "targetCommit": sha} for ref, sha in names]

        self.answer({"branches": named("refs/heads"), "tags": named("refs/tags"), "converts": []})

    def tree(self, kind, repo_id, revision):
        repo = self.repo(kind, repo_id)
        files = repo.files(repo.sha(revision))
        folders = {parent.as_posix() for path in files for parent in PurePosixPath(path).parents} - {"."}
        listed = [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in sorted(folders)]
        self.answer(listed + list(files.values()))

    def tag(self, kind, repo_id, revision):
        repo = self.repo(kind, repo_id, write=True)
        name, sha = self.read_json()["tag"], repo.sha(revision)
        with self.hub.lock:
            if repo.git("tag", "--list", name):
                raise Refused(409, f"Tag {name} already exists")
            repo.git("tag", name, sha)
        self.answer({"tag": name})

    # Uploads.

    def validate_yaml(self):
        content = self.read_json()["content"]
        front = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
        errors = []
        try:
            metadata = yaml.safe_load(front[1]) if front else None
            if not isinstance(metadata, dict):
                errors.append("empty or missing yaml metadata in repo card")
        except yaml.YAMLError as error:
            errors.append(str(error))
        found = {"errors": [{"message": error} for error in errors], "warnings": []}
        self.answer(found, 400 if errors else 200)

    def preupload(self, kind, repo_id, revision):
        repo = self.repo(kind, repo_id, write=True)
        present = repo.files(repo.sha(revision))
        files = []
        for file in self.read_json()["files"]:
            sample = base64.b64decode(file["sample"])
            matches = any(fnmatch.fnmatch(file["path"], pattern) for pattern in LFS_PATTERNS)
            large = matches or b"\0" in sample or file["size"] > 10_000_000
            known = present.get(file["path"], {})
            oid = known.get("lfs", known).get("oid")
            mode = "lfs" if large else "regular"
            files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.answer({"files": files})

    def lfs_batch(self, kind, repo_id):
        kind = kind.strip("/") or "models"
        repo = self.repo(kind, repo_id, write=True)
        objects = []
        for wanted in self.read_json()["objects"]:
            item = {"oid": wanted["oid"], "size": wanted["size"]}
            if not repo.lfs_path(wanted["oid"]).exists():
                upload = {"href": f"{self.hub.url}/lfs/{kind}/{repo_id}/{wanted['oid']}/{wanted['size']}"}
                verify = {"href": f"{self.hub.url}/verify/{kind}/{repo_id}"}
                item["actions"] = {"upload": upload, "verify": verify}
            objects.append(item)
        self.answer({"transfer": "basic", "objects": objects})

    def lfs_put(self, kind, repo_id, oid, size):
        body = self.read_body()
        if (hashlib.sha256(body).hexdigest(), len(body)) != (oid, int(size)):
            raise Refused(400, "The content is not what was announced")
        path = self.hub.repo(kind, repo_id).lfs_path(oid)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(body)
        os.replace(file.name, path)
        self.send(b"")

    def lfs_verify(self, kind, repo_id):
        repo = self.repo(kind, repo_id, write=True)
        wanted = self.read_json()
        path = repo.lfs_path(wanted["oid"])
        if not path.exists() or path.stat().st_size != wanted["size"]:
            raise Refused(404, "The file was not uploaded")
        self.answer({})

    def commit(self, kind, repo_id, revision):
        repo = self.repo(kind, repo_id, write=True)
        lines = [json.loads(line) for line in self.read_body().splitlines()]
        if [line["key"] for line in lines].index("header") != 0:
            raise Refused(400, "Expected the header first")
        header = lines[0]["value"]
        added, deleted = {}, []
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                added[value["path"]] = base64.b64decode(value["content"], validate=True)
            elif line["key"] == "lfsFile":
                path = repo.lfs_path(value["oid"])
                if not path.exists() or path.stat().st_size != value["size"]:
                    raise Refused(400, f"LFS pointer to a file that does not exist: {value['path']}")
                added[value["path"]] = POINTER.format(value["oid"], value["size"]).encode()
            elif line["key"] == "deletedFile":
                deleted.append(value["path"])
            else:
                raise Refused(400, f"Expected a known operation. Received: {line['key']}")
        with self.hub.lock:
            if not set(deleted) <= repo.files(repo.sha(revision)).keys():
                raise Refused(404, "A file with this name doesn't exist", "EntryNotFound")
            sha = repo.commit(revision, added, deleted, header["summary"], header.get("parentCommit"))
            repo.settings = repo.settings | {"stages": self.stages(repo, sha)}
        self.answer({"success": True, "commitOid": sha, "commitUrl": f"{self.page(kind, repo_id)}/commit/{sha}"})

    # Downloads.

    def resolve(self, kind, repo_id, revision, path):
        kind = kind.strip("/") or "models"
        repo = self.repo(kind, repo_id)
        sha = repo.sha(revision)
        file = repo.files(sha).get(path)
        commit = {"X-Repo-Commit": sha}
        if file is None:
            raise Refused(404, "Entry not found", "EntryNotFound", **commit)
        if "lfs" not in file:
            return self.send(repo.blob(file["oid"]), ETag=f'"{file["oid"]}"', **commit)
        lfs = file["lfs"]
        linked = {"X-Linked-Etag": f'"{lfs["oid"]}"', "X-Linked-Size": lfs["size"], "ETag": f'"{file["oid"]}"'}
        # Large files are on another host, as on the real Hub.
        store = self.hub.url.replace("127.0.0.1", "localhost")
        self.send(b"", 302, Location=f"{store}/cdn/{kind}/{repo_id}/{lfs['oid']}", **linked, **commit)

    def cdn(self, kind, repo_id, oid):
        if "Authorization" in self.headers:
            raise Refused(400, "A token was sent to another host than the Hub")
        self.send(self.hub.repo(kind, repo_id).lfs_path(oid).read_bytes(), ETag=f'"{oid}"')

    # Spaces.

    def stages(self, repo, sha):
        """Return the stages of a Space after a commit."""
        if repo.kind != "spaces":
            return []
        files = repo.files(sha)
        if "README.md" not in files:
            return ["CONFIG_ERROR"]
        front = yaml.safe_load(repo.blob(files["README.md"]["oid"]).decode().split("---\n")[1])
        if not {"title", "sdk", "sdk_version", "app_file"} <= front.keys() or front["sdk"] != repo.settings["sdk"]:
            return ["CONFIG_ERROR"]
        return list(STAGES) if front["app_file"] in files else ["NO_APP_FILE"]

    def runtime(self, repo_id):
        repo = self.repo("spaces", repo_id)
        with self.hub.lock:
            stage, *after = repo.settings["stages"]
            repo.settings = repo.settings | {"stages": after or [stage]}
        self.answer_runtime(repo, stage)

    def answer_runtime(self, repo, stage):
        hardware = repo.settings["hardware"]
        self.answer({"stage": stage, "hardware": {"current": hardware, "requested": hardware}})

    def hardware(self, repo_id):
        repo = self.repo("spaces", repo_id, write=True)
        wanted = self.read_json()["flavor"]
        self.check_hardware(wanted)
        with self.hub.lock:
            repo.settings = repo.settings | {"hardware": wanted}
        self.answer_runtime(repo, repo.settings["stages"][0])

    def check_hardware(self, name):
        if name not in list(SpaceHardware):
            raise Refused(400, f"Unknown hardware flavor: {name}")

    def variables(self, repo_id):
        repo = self.repo("spaces", repo_id, write=True)
        with self.hub.lock:
            settings = repo.settings
            if self.command == "POST":
                wanted = self.read_json()
                settings["variables"][wanted["key"]] = wanted["value"]
            elif self.command == "DELETE":
                settings["variables"].pop(self.read_json()["key"], None)
            repo.settings = settings
        self.answer({key: {"key": key, "value": value} for key, value in settings["variables"].items()})


ID = r"(?P<repo_id>[\w.-]+/[\w.-]+)"
API = rf"/api/(?P<kind>models|spaces)/{ID}"
REVISION = r"(?P<revision>[^/]+)"
ROUTES = [
    (["GET"], "/api/whoami-v2", _Handler.whoami),
    (["POST"], "/api/repos/create", _Handler.create),
    (["POST"], "/api/validate-yaml", _Handler.validate_yaml),
    (["GET"], rf"/api/spaces/{ID}/runtime", _Handler.runtime),
    (["POST"], rf"/api/spaces/{ID}/hardware", _Handler.hardware),
    (["GET", "POST", "DELETE"], rf"/api/spaces/{ID}/variables", _Handler.variables),
    (["GET"], API, _Handler.info),
    (["GET"], rf"{API}/revision/{REVISION}", _Handler.info),
    (["GET"], rf"{API}/refs", _Handler.refs),
    (["GET"], rf"{API}/tree/{REVISION}", _Handler.tree),
    (["POST"], rf"{API}/tag/{REVISION}", _Handler.tag),
    (["POST"], rf"{API}/preupload/{REVISION}", _Handler.preupload),
    (["POST"], rf"{API}/commit/{REVISION}", _Handler.commit),
    (["POST"], rf"/(?P<kind>spaces/|){ID}\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    (["PUT"], rf"/lfs/(?P<kind>\w+)/{ID}/(?P<oid>\w+)/(?P<size>\d+)", _Handler.lfs_put),
    (["POST"], rf"/verify/(?P<kind>\w+)/{ID}", _Handler.lfs_verify),
    (["GET", "HEAD"], rf"/(?P<kind>spaces/|){ID}/resolve/{REVISION}/(?P<path>.+)", _Handler.resolve),
    (["GET", "HEAD"], rf"/cdn/(?P<kind>\w+)/{ID}/(?P<oid>\w+)", _Handler.cdn),
]
