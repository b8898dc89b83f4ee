import os
import signal
import tempfile

import shoal
from shoal.util.persistence import FilePersistence, Persistence


@shoal.remote(max_restarts=-1, max_task_retries=-1)
class Account:
    def __init__(self, balance):
        self.balance = balance

    @shoal.method(max_task_retries=0)  # a deposit is never made twice
    def deposit(self, amount):
        self.balance += amount
        return self.balance

    @shoal.method(read_only=True)  # saves nothing
    def look(self):
        return self.balance

    @shoal.method(read_only=True)
    def pid(self):
        return os.getpid()


with tempfile.TemporaryDirectory() as folder:
    store = FilePersistence(folder)
    account = Account.options(persistent=Persistence(store, "account-7")).remote(100)
    print(shoal.get(account.deposit.remote(11)))
    os.kill(shoal.get(account.pid.remote()), signal.SIGKILL)
    print(shoal.get(account.look.remote()))
    print(store.list(), store.restore("account-7"))
