import tempfile

import shoal
from shoal.util.persistence import EventLog, FilePersistence


def apply(balance, event):
    kind, amount = event
    after = balance + amount if kind == "deposit" else balance - amount
    if after < 0:
        raise ValueError("that is more than there is")  # refused: not logged
    return after


@shoal.remote
class Account:
    def __init__(self, store):
        self.log = EventLog(store, "account-7", apply=apply, initial=0, snapshot_every=50, history=True)

    def deposit(self, amount):
        return self.log.append(("deposit", amount))

    def withdraw(self, amount):
        return self.log.append(("withdrawal", amount))

    def history(self):
        return list(self.log.events())


with tempfile.TemporaryDirectory() as folder:
    account = Account.remote(FilePersistence(folder))
    print(shoal.get([account.deposit.remote(30), account.withdraw.remote(20)]))
    try:
        shoal.get(account.withdraw.remote(20))
    except ValueError:
        print("refused")
    shoal.kill(account)
    account = Account.remote(FilePersistence(folder))
    print(shoal.get(account.history.remote()), shoal.get(account.deposit.remote(5)))
