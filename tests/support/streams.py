"""For programs that look at what they have printed themselves: shoal prints lines of workers on a thread of its own."""

SHOWN = '''
import sys, threading

class Shown:
    """A stream that says when a text was written to it."""

    def __init__(self, stream):
        self.stream, self.text, self.written = stream, "", threading.Condition()

    def write(self, text):
        with self.written:
            count = self.stream.write(text)
            self.text += text
            self.written.notify_all()
        return count

    def wait_for(self, text, seconds=60):
        with self.written:
            return self.written.wait_for(lambda: text in self.text, seconds)

    def __getattr__(self, name):
        return getattr(self.stream, name)

sys.stdout, sys.stderr = Shown(sys.stdout), Shown(sys.stderr)
'''
"""Lines for the head of a program: `sys.stdout.wait_for("a text")` waits until that is printed; false if it is not."""
