# pragma version 0.4.3
# The ERC-721 contract of the tests: https://eips.ethereum.org/EIPS/eip-721, with a mint that is
# its maker's and a burn. Its bytecode is in erc721.hex, made by
#   vyper -f bytecode --evm-version london tests/integration/chain/erc721.vy > tests/integration/chain/erc721.hex

event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    token_id: indexed(uint256)

event Approval:
    owner: indexed(address)
    approved: indexed(address)
    token_id: indexed(uint256)

event ApprovalForAll:
    owner: indexed(address)
    operator: indexed(address)
    approved: bool

interface Receiver:
    def onERC721Received(operator: address, sender: address, token_id: uint256, data: Bytes[1024]) -> bytes4: nonpayable

maker: address
owners: HashMap[uint256, address]
approved: HashMap[uint256, address]
balances: HashMap[address, uint256]
operators: public(HashMap[address, HashMap[address, bool]])

@deploy
def __init__():
    self.maker = msg.sender

@view
@external
def supportsInterface(interface_id: bytes4) -> bool:
    return interface_id in [0x01ffc9a7, 0x80ac58cd]

@view
@external
def balanceOf(owner: address) -> uint256:
    assert owner != empty(address), "nobody has no balance"
    return self.balances[owner]

@view
@external
def ownerOf(token_id: uint256) -> address:
    assert self.owners[token_id] != empty(address), "there is no such token"
    return self.owners[token_id]

@view
@external
def getApproved(token_id: uint256) -> address:
    assert self.owners[token_id] != empty(address), "there is no such token"
    return self.approved[token_id]

@view
@external
def isApprovedForAll(owner: address, operator: address) -> bool:
    return self.operators[owner][operator]

@external
def approve(approved: address, token_id: uint256):
    owner: address = self.owners[token_id]
    assert msg.sender == owner or self.operators[owner][msg.sender], "not yours"
    self.approved[token_id] = approved
    log Approval(owner=owner, approved=approved, token_id=token_id)

@external
def setApprovalForAll(operator: address, approved: bool):
    self.operators[msg.sender][operator] = approved
    log ApprovalForAll(owner=msg.sender, operator=operator, approved=approved)

@external
def transferFrom(sender: address, receiver: address, token_id: uint256):
    self._give(sender, receiver, token_id)

@external
def safeTransferFrom(sender: address, receiver: address, token_id: uint256, data: Bytes[1024] = b""):
    self._give(sender, receiver, token_id)
    if receiver.is_contract:
        answer: bytes4 = extcall Receiver(receiver).onERC721Received(msg.sender, sender, token_id, data)
        assert answer == method_id("onERC721Received(address,address,uint256,bytes)", output_type=bytes4), "it takes no tokens"

@external
def mint(receiver: address, token_id: uint256):
    assert msg.sender == self.maker, "not yours to mint"
    assert receiver != empty(address), "to nobody"
    assert self.owners[token_id] == empty(address), "there already"
    self._move(empty(address), receiver, token_id)

@external
def burn(token_id: uint256):
    assert msg.sender == self.owners[token_id], "not yours"
    self._move(msg.sender, empty(address), token_id)

@internal
def _give(sender: address, receiver: address, token_id: uint256):
    owner: address = self.owners[token_id]
    assert owner == sender and owner != empty(address), "not theirs"
    assert receiver != empty(address), "to nobody"
    assert msg.sender in [owner, self.approved[token_id]] or self.operators[owner][msg.sender], "not yours"
    self._move(sender, receiver, token_id)

@internal
def _move(sender: address, receiver: address, token_id: uint256):
    self.approved[token_id] = empty(address)
    self.owners[token_id] = receiver
    if sender != empty(address):
        self.balances[sender] -= 1
    if receiver != empty(address):
        self.balances[receiver] += 1
    log Transfer(sender=sender, receiver=receiver, token_id=token_id)
